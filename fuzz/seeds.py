#!/usr/bin/env python3
"""Writes the first inputs of each fuzz target into fuzz/corpus: valid ones of our own making, of
every kind that the target knows. What fuzzing has added beside them is kept."""

import base64
import hashlib
import hmac
import pathlib
import ssl
import struct
import subprocess

CORPUS = pathlib.Path(__file__).parent / "corpus"
ENDS, RESETS, STALLS = b"\0", b"\1", b"\2"


def write(target, name, *parts):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"".join(p.encode() if isinstance(p, str) else p for p in parts))


def stranger(target, name, *parts, piece=3, end=ENDS):
    write(target, name, bytes([piece]), end, *parts)


# ===== addresses and command lines =====

for number, address in enumerate(
    """listen:9000 listen:*:9000 listen:192.0.2.1:0 listen:[::1]:9000 dial:example.org:22 dial:9000
    dial:[fe80::1%2]:80 dial:xn--bcher-kva.example:443 listen: example.org:22 192.0.2.1:80""".split()
):
    write("address", f"address-{number}", address)

for number, address in enumerate(
    ["exec:sh -c 'a, \"b\"' \"it's\" ''", "listen:unix:/run/a.sock", "dial:unix:@name", "stdio", "dial:asked", "dial:a:1|[::1]:2|unix:@c"]
):
    write("address", f"kind-{number}", address)

for number, words in enumerate(
    [
        "listen:9000 listen:*:8000,max-per-addr=4,rate=10/1s",
        "listen:8080,sniff,route=tls:*.example.org>192.0.2.7:443 dial:localhost:80",
        "listen:8080,proxy-protocol.from=192.0.2.0/24 dial:h:80,proxy-protocol=v2,source=192.0.2.1",
        "dial:relay:4000,rendezvous=KEY,keep=8 dial:localhost:22 --idle-timeout=1h",
        "listen:1,frame=lines,frame.max=1KiB listen:2,frame=length:4le --log-traffic=hex",
        "listen:1,compress=zstd:3 dial:h:2,keep-alive=1s/2s/3 --bandwidth=1MiB/s,a-to-b=1MB/s",
        "rendezvous listen:*:4000,wait=5m --max-pairs=100",
        "dial:a:1 dial:b:2 --reconnect --fault=slow:1KiB/s",
        "explain listen:1 listen:2",
        "--help",
    ]
):
    write("command", f"command-{number}", words.replace(" ", "\n"))

# ===== PROXY headers =====

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = bytes([198, 51, 100, 7, 203, 0, 113, 9]) + struct.pack("!HH", 5000, 443)


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2(command, family, body):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


TLS_TLV = tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"client.example"))
SUM = v2(1, 0x11, CLIENT + tlv(3, struct.pack("!I", crc32c(v2(1, 0x11, CLIENT + tlv(3, bytes(4)))))))
for name, header in {
    "v1-tcp4": b"PROXY TCP4 198.51.100.7 203.0.113.9 5000 443\r\n",
    "v1-tcp6": b"PROXY TCP6 2001:db8::7 2001:db8::9 5000 443\r\n",
    "v1-unknown": b"PROXY UNKNOWN\r\n",
    "v1-unknown-long": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "v2-tcp4": v2(1, 0x11, CLIENT),
    "v2-tcp6": v2(1, 0x21, bytes(range(32)) + struct.pack("!HH", 5000, 443)),
    "v2-unix": v2(1, 0x31, b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")),
    "v2-local": v2(0, 0, b""),
    "v2-unspecified": v2(1, 0, tlv(4, bytes(9))),
    "v2-tlvs": v2(1, 0x11, CLIENT + tlv(1, b"h2") + tlv(2, b"example.org") + TLS_TLV + tlv(5, b"id")),
    "v2-sum": SUM,
    "none": b"GET / HTTP/1.1\r\n",
}.items():
    stranger("proxy", name, header, b"and then the stream")
stranger("proxy", "cut", b"PROXY TCP4 198.51", end=STALLS)

# ===== sniffing =====


def client_hello(name, alpn=()):
    context = ssl.create_default_context()
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


HELLO = client_hello("example.org", ["h2", "http/1.1"])
for name, said in {
    "tls": HELLO,
    "tls-address": client_hello("192.0.2.1"),
    "tls-two-records": HELLO[:3] + b"\0\x20" + HELLO[5:37] + HELLO[:3]
    + struct.pack("!H", len(HELLO) - 37) + HELLO[37:],
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http": b"GET / HTTP/1.1\r\nUser-Agent: x\r\nHost: example.org:8080\r\n\r\n",
    "http-absolute": b"GET http://example.org/ HTTP/1.1\r\nHost: other.example\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "silent": b"",
    "other": b"\0\1\2\3",
}.items():
    stranger("sniff", name, said, piece=5)
    stranger("sniff", name + "-stalls", said, piece=0, end=STALLS)

# ===== handshakes of one line =====

# Of the private key that is 0, 1, 2 … 31.
PUBLIC = "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(key, side="any", expires=1_800_000_000):
    part = f"couplet1.k.{side}.{expires}.{b64(key.encode())}"
    return part + "." + b64(hmac.new(b"0123456789abcdef", part.encode(), hashlib.sha256).digest())


def meeting(name, *words):
    key = hashlib.sha256(name.encode()).hexdigest()[:32]
    return " ".join(["couplet/1", key, *words]) + "\n"


for name, line in {
    "token": "secret\n",
    "token-crlf": "secret\r\n",
    "signed": signed("door") + "\n",
    "signed-expired": signed("door", expires=1) + "\n",
    "meeting": meeting("foo"),
    "meeting-side": meeting("foo", "a"),
    "meeting-token": meeting("foo", "b", signed("foo", "b")),
    "meeting-goto": meeting("foo", "a", "+goto"),
    "goto": "goto relay.example.org:4000\n",
    "challenge": f"couplet-challenge1 {b64(bytes(range(32)))}\n",
    "answer": f"couplet-answer1 {PUBLIC} {b64(bytes(64))}\n",
    "endless": "x" * 600,
}.items():
    stranger("lines", name, line, "and then the stream")

# ===== proxies =====


def named(host, port=80):
    return bytes([5, 1, 0, 3, len(host)]) + host + struct.pack("!H", port)


OPEN, LOGIN = b"\5\1\0", b"\5\2\0\2\1\2me\6secret"
IPV4 = b"\5\1\0\1\xc0\0\2\7\0\x50"
IPV6 = b"\5\1\0\4\x20\1\x0d\xb8" + bytes(11) + b"\5\0\x50"
for name, said in {
    "name": OPEN + named(b"example.org"),
    "name-ipv4": OPEN + named(b"127.0.0.9"),
    "name-ipv6": OPEN + named(b"2001:db8::5"),
    "name-brackets": OPEN + named(b"[2001:db8::5]"),
    "name-hex": OPEN + named(b"0x7f000001"),
    "name-escape": OPEN + named(b"a\x1bb"),
    "name-long": OPEN + named(b"a." * 127 + b"a"),
    "ipv4": OPEN + IPV4,
    "ipv6": OPEN + IPV6,
    "login": LOGIN + IPV4,
    "login-wrong": LOGIN.replace(b"secret", b"Secret") + IPV4,
    "bind": OPEN + IPV4.replace(b"\5\1", b"\5\2", 1),
    "port-0": OPEN + named(b"a", 0),
    "version-4": b"\4\1\0\x50\x7f\0\0\1\0",
    "reply": b"\5\0\5\0\0\1\0\0\0\0\0\0",
    "reply-name": b"\5\0\5\0\0\3\5proxy\0\x50",
    "reply-ipv6": b"\5\0\5\0\0\4" + bytes(18),
    "reply-login": b"\5\2\1\0\5\0\0\1\0\0\0\0\0\0",
    "reply-refused": b"\5\0\5\5\0\1\0\0\0\0\0\0",
}.items():
    stranger("socks", name, said, b"and then the stream")
stranger("socks", "cut", LOGIN[:9], end=STALLS)

BASIC = "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"
for name, said in {
    "request": "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n",
    "request-old": "CONNECT 192.0.2.7:443 HTTP/1.0\r\n\r\n",
    "request-ipv6": "CONNECT [2001:db8::5]:22 HTTP/1.1\n\n",
    "request-bare-ipv6": "CONNECT 2001:db8::5:22 HTTP/1.1\r\n\r\n",
    "request-basic": f"CONNECT a:1 HTTP/1.1\r\n{BASIC}\r\n",
    "request-two-basic": f"CONNECT a:1 HTTP/1.1\r\n{BASIC}{BASIC}\r\n",
    "request-get": "GET http://example.org/ HTTP/1.1\r\n\r\n",
    "request-endless": "CONNECT a:1 HTTP/1.1\r\nA: " + "x" * 9000,
    "answer": "HTTP/1.1 200 Connection established\r\n\r\n",
    "answer-body": "HTTP/1.0 204 \r\nContent-Length: 5\r\n\r\n",
    "answer-continue": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\n\r\n",
    "answer-refused": "HTTP/1.1 502 Bad\x80\x1b\r\n\r\n",
    "answer-login": "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
}.items():
    stranger("connect", name, said, b"and then the stream")
stranger("connect", "cut", "CONNECT example.org:8", end=STALLS)

# ===== keys and lists =====

KEY = b64(bytes(range(32)))
for name, text in {
    "networks": "192.0.2.0/24\n2001:db8::/32\n198.51.100.7\n# a comment\n",
    "peers": f"noise:{KEY} laptop\nnoise:{KEY}\n",
    "authorized": f"{PUBLIC} laptop\n",
    "noise-private": f"noise-private:{KEY}",
    "ed25519-private": f"ed25519-private:{KEY}",
    "half-a-key": f"ed25519-private:{KEY[:20]}",
    "keyring": "new: 0123456789abcdef0123\nold: fedcba9876543210\n",
    "keyring-short": "k: 0123456789abc\n",
    "signed": signed("door"),
}.items():
    write("keys", name, text)

# ===== compression and messages =====

TEXT = b"".join(b"line %d of a text that repeats itself\n" % n for n in range(200))


def compressed(*command):
    return subprocess.run(command, input=TEXT, stdout=subprocess.PIPE, check=True).stdout


for name, wire in {
    "zstd": compressed("zstd", "-qc"),
    "zstd-sum": compressed("zstd", "-qc", "--check", "--zstd=wlog=16"),
    "zstd-two": compressed("zstd", "-qc", "--zstd=wlog=16") * 2,
}.items():
    write("compress", name, b"\0\7", wire)
for name, wire in {
    "lz4": compressed("lz4", "-qc", "-B4", "-BI", "--no-frame-crc"),
    "lz4-linked": compressed("lz4", "-qc", "-B4", "-BD"),
    "lz4-sums": compressed("lz4", "-qc", "-B4", "-BI", "-BX"),
}.items():
    write("compress", name, b"\1\7", wire)
write("compress", "there-zstd", b"\2\x11", TEXT[:500])
write("compress", "there-lz4", b"\3\x11", TEXT[:500])

for kind in range(0, 256, 7):
    for name, wire in {
        "lines": b"ab\r\n\nc\n",
        "length": b"\0\0\0\2ab\0\0\0\0\0\0\0\1c",
        "short": b"\2ab\1c\0",
        "long": bytes(7) + b"\3abc",
        "ends": b"a\0b;;",
    }.items():
        if kind < 8 or name in ("short", "ends"):
            write("frames", f"{name}-{kind}", bytes([kind, 2]), wire)

# ===== WebSocket =====


def frame(first, carried=b"", mask=b"\7\0\xc8\x1f"):
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(carried))
    length = bytes([0xFE]) + len(carried).to_bytes(2, "big")
    if len(carried) < 126:
        length = bytes([0x80 | len(carried)])
    return bytes([first]) + length + mask + masked


ASKS = (
    "GET /relay HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
for name, said in {
    "request": ASKS,
    "request-path": ASKS.replace("/relay", "/\x7f\x1b"),
    "request-origin": ASKS.replace("Host", "Origin: https://example.org\r\nHost"),
    "answer": "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    "answer-refused": "HTTP/1.1 403 no\x1b\r\n\r\n",
    "messages": frame(0x82, b"one") + frame(0x01, b"two") + frame(0x80, b"three"),
    "pings": frame(0x89, b"?") * 3 + frame(0x8A) + frame(0x82, b"x"),
    "end": frame(0x82, b"all") + frame(0x82) + frame(0x88, b"\3\xe8"),
    "close": frame(0x82, b"all") + frame(0x88, b"\3\xf3\x1bwhy"),
    "long": frame(0x82, b"x" * 300),
    "huge": b"\x82\xff" + b"\x3f" + b"\xff" * 7 + b"\0" * 9,
}.items():
    stranger("ws", name, said)
stranger("ws", "stalls", frame(0x82, b"half")[:-2], end=STALLS)

# ===== many connections over one =====

SYN, ACK, FIN, RST = 1, 2, 4, 8
DATA, WINDOW, PING, GO_AWAY = 0, 1, 2, 3


def muxed(kind, flags, stream, carried=b"", number=None):
    return struct.pack("!BBHII", 0, kind, flags, stream, len(carried) if number is None else number) + carried


def piece(text):
    return struct.pack("!H", len(text)) + text


BEGUN = muxed(DATA, SYN, 1, b"\2")
for name, said in {
    "begun": BEGUN,
    "pings": BEGUN + muxed(DATA, 0, 1, b"\1\1\2\3"),
    "stream": BEGUN + muxed(DATA, SYN, 3, b"\1" + piece(b"all") + piece(b"")) + muxed(DATA, FIN, 3),
    "cut": BEGUN + muxed(DATA, SYN, 3, b"\1" + piece(b"half")) + muxed(DATA, RST, 3),
    "closed": BEGUN + muxed(DATA, SYN, 3, b"\1" + piece(b"half")) + muxed(DATA, FIN, 3),
    "two": BEGUN + muxed(DATA, SYN, 3, b"\1") + muxed(WINDOW, SYN, 5, number=9) + muxed(DATA, 0, 5, b"\1")
    + muxed(DATA, 0, 3, piece(b"one")) + muxed(DATA, 0, 5, piece(b"two")) + muxed(DATA, FIN, 3, piece(b"")),
    "many": BEGUN + b"".join(muxed(DATA, SYN, 3 + 2 * at, b"\1" + piece(b"x")) for at in range(12)),
    "no-stream": BEGUN + muxed(DATA, 0, 7, b"lost") + muxed(DATA, SYN, 2, b"\1"),
    "too-long": BEGUN + muxed(DATA, SYN, 3, b"\1", number=0x7FFFFFFF),
    "behind-the-end": BEGUN + muxed(DATA, SYN, 3, b"\1" + piece(b"") + b"more"),
    "yamux": BEGUN + muxed(PING, SYN, 0, number=7) + muxed(GO_AWAY, 0, 0, number=1),
    "answers": muxed(DATA, ACK, 1, b"\2") + muxed(DATA, ACK, 3, b"\1" + piece(b"hello") + piece(b"")),
    "away": muxed(DATA, ACK, 1, b"\2\3") + muxed(DATA, ACK, 3, b"\1"),
}.items():
    stranger("mux", name, said)
    stranger("mux", f"{name}-stalls", said, end=STALLS)

# ===== before TLS, and before a virtual machine =====

HELLO = b"\x16\x03\x01\x00\x05hello"
SSL, GSS = b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x08\x04\xd2\x16\x30"
for name, said in {
    "ssl": SSL + HELLO,
    "gss": GSS + SSL + HELLO,
    "gss-twice": GSS + GSS,
    "direct": HELLO,
    "login": b"\0\0\0\x0d\0\x03\0\0user\0",
    "cancel": b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
    "yes": b"S" + HELLO,
    "no": b"N",
    "error": b"E\0\0\0\x05\0",
    "smtp": b"EHLO me\r\nNOOP\r\nSTARTTLS\r\n" + HELLO,
    "smtp-quit": b"HELO me\nMAIL FROM:<>\r\nSTARTTLS now\r\nfoo\r\nQUIT\r\n",
    "smtp-long": b"x" * 600,
    "smtp-many": b"NOOP\r\n" * 21,
    "server": b"220-hi\r\n220 hi\r\n250-x\r\n250-STARTTLS\r\n250 HELP\r\n220 go\r\n" + HELLO,
    "server-without": b"220 hi\r\n250 HELP\r\n",
    "server-refuses": b"554 no \x1b\r\n",
}.items():
    stranger("starttls", name, said)
stranger("starttls", "stalls", SSL[:5], end=STALLS)
for name, said in {
    "ok": b"OK 1073741824\nhello",
    "carriage-return": b"OK 7\r\n",
    "no-port": b"OK \n",
    "no-number": b"OK 1\x1b\n",
    "long": b"O" * 40,
    "other": b"CONNECT 5000\n",
}.items():
    stranger("vsock", name, said)
stranger("vsock", "stalls", b"OK 1", end=STALLS)

# ===== noise, the traffic log, the relay =====

for kind in range(3):
    write("noise", f"stranger-{kind}", bytes([kind, 9]), ENDS, b"\0\x30" + bytes(48))
write("noise", "honest", b"\2\3")
write("noise", "flip", b"\2\3", b"\0\x20\0\1")
write("noise", "cut", b"\2\xff", b"\1\0\x40\0")

for name, said in {
    "text": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "escapes": b"\x1b[31mred\x1b]0;title\x07\x9b\xc2\x9b\r\0\x7f",
    "utf8": "für 日本 \u202e\u2028".encode(),
}.items():
    stranger("shown", name, said)

WRITE, READ, MUCH, TAKE, TURN = 0, 16 << 1, 32 << 1, 64 << 1, 88 << 1
SHUT, CLOSE, RESET, STALL = 112 << 1, 116 << 1, 118 << 1, 120 << 1


def script(*actions):
    return bytes(byte for action, side, n in actions for byte in (action | side, n))


TALK = [(WRITE, 0, 40), (TURN, 0, 0), (READ, 1, 90), (WRITE, 1, 9), (TURN, 0, 0), (READ, 0, 9)]
BULK = [(MUCH, 0, 255), (TURN, 0, 0), (TAKE, 1, 255), (TURN, 0, 0), (TAKE, 1, 255)] * 6
for number, transports in enumerate([0x00, 0x88, 0xEE, 0x08, 0xE8, 0x0E]):
    for setting in (0x00, 0x13, 0x20):
        start = bytes([transports, setting])
        name = f"{number}-{setting:02x}"
        write("relay", f"talk-{name}", start, script(*TALK, (SHUT, 0, 0), *TALK))
        write("relay", f"bulk-{name}", start, script(*BULK, (SHUT, 0, 0), *BULK))
        write("relay", f"reset-{name}", start, script(*TALK, *BULK, (RESET, 0, 0), (TURN, 0, 0)))
    stalls = [(STALL, 0, 2), *TALK, (STALL, 0, 16), *TALK, (STALL, 1, 5), *TALK, (CLOSE, 1, 0)]
    write("relay", f"stalls-{number}", bytes([transports, 0x12]), script(*stalls))
