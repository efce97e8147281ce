//! Prometheus' own programs: they check what is served, scrape it, and load the rules.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
};

use couplet_tests::{
    Process, finish, need,
    net::{connect, free_port},
    program, until,
};
use serde_json::Value;

use crate::Rig;

fn root(path: &str) -> String {
    format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))
}

fn curl(url: &str) -> String {
    let mut curl = program("curl");
    finish("curl", curl.args(["-sS", "--max-time", "10", url])).log
}

#[test]
fn promtool_finds_nothing_wrong() {
    let rig = Rig::new(",max-per-addr=1", &[]);
    let pair = rig.pair();
    // One is refused.
    let second = connect(rig.couplet.address('A'));
    rig.couplet.events("refused", 1);
    drop((pair, second));
    rig.couplet.ended(1);
    // What a process prints has no last line feed here.
    let served = curl(&format!("http://{}/metrics", rig.address())) + "\n";
    for line in [
        "couplet_refused_total{relay=\"relay\",side=\"a\",reason=\"limit_addr\"} 1",
        "couplet_pairs_total{relay=\"relay\"} 1",
    ] {
        assert!(served.contains(line), "{line} is not in\n{served}");
    }
    let mut promtool = Command::new(need("promtool"));
    let mut promtool = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(served.as_bytes())
        .unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_alert_rules_are_sound() {
    for rules in ["alerts.yml", "reload-alerts.yml"] {
        let mut promtool = Command::new(need("promtool"));
        let rules = root(&format!("docs/prometheus/{rules}"));
        finish("promtool", promtool.args(["check", "rules", &rules])).ok();
    }
}

/// Names of families in a query.
fn families(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("couplet_") || word.starts_with("process_"))
}

#[test]
fn prometheus_scrapes_it_and_each_query_of_the_dashboard_and_the_rules_is_answered() {
    let rig = Rig::of_file();
    drop(rig.pair());
    rig.couplet.ended(1);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let config = format!(
        "global: {{scrape_interval: 200ms}}\nrule_files: [{}, {}]\nscrape_configs:\n- job_name: couplet\n  \
         static_configs:\n  - targets: ['{}']\n",
        fs::canonicalize(root("docs/prometheus/alerts.yml"))
            .unwrap()
            .display(),
        fs::canonicalize(root("docs/prometheus/reload-alerts.yml"))
            .unwrap()
            .display(),
        rig.address()
    );
    fs::write(file("prometheus.yml"), config).unwrap();
    let web = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(need("prometheus"));
    command
        .arg(format!(
            "--config.file={}",
            file("prometheus.yml").display()
        ))
        .arg(format!("--storage.tsdb.path={}", file("data").display()))
        .arg(format!("--web.listen-address={web}"));
    let _prometheus = Process::spawn("prometheus", &mut command);

    let query = |query: &str| -> Value {
        let mut curl = program("curl");
        let query = format!("query={query}");
        let url = format!("http://{web}/api/v1/query");
        let args = ["-sS", "--max-time", "10", "--data-urlencode", &query, &url];
        serde_json::from_str(&finish("curl", curl.args(args)).log).unwrap_or(Value::Null)
    };
    until("a scrape", || {
        let scraped = query("couplet_pairs_total{relay=\"relay\"}");
        (scraped["data"]["result"][0]["value"][1] == "1").then_some(())
    });
    let target = curl(&format!("http://{web}/api/v1/targets"));
    let target: Value = serde_json::from_str(&target).unwrap();
    assert_eq!(target["data"]["activeTargets"][0]["health"], "up");

    let dashboard = fs::read_to_string(root("docs/prometheus/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let rules = curl(&format!("http://{web}/api/v1/rules"));
    let rules: Value = serde_json::from_str(&rules).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let mut queries: Vec<String> = panels
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap().replace("$relay", ".*"))
        .collect();
    let groups = rules["data"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    queries.extend(
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .map(|rule| rule["query"].as_str().unwrap().to_owned()),
    );
    assert!(queries.len() > 20);
    let names = query("count by (__name__) ({__name__=~\".+\"})");
    let names = names["data"]["result"].as_array().unwrap().iter();
    let served: BTreeSet<_> = names
        .map(|one| one["metric"]["__name__"].as_str().unwrap())
        .collect();
    for asked in &queries {
        let answer = query(asked);
        assert_eq!(answer["status"], "success", "{asked}: {answer}");
        for family in families(asked) {
            assert!(
                served.contains(family),
                "{asked} asks for {family}, which is not served"
            );
        }
    }
}

/// The metrics and the access log of the same run agree.
#[test]
fn refusals_and_ends_are_those_of_the_access_log() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "0123456789abcdef0123456789abcdef\n").unwrap();
    let access_log = format!("--access-log={}", log.path().display());
    let token = format!(",max-per-addr=3,token=@{}", secret.path().display());
    let rig = Rig::new(&token, &[&access_log]);
    let client = |says: &str| {
        let mut client = connect(rig.couplet.address('A'));
        client.write_all(says.as_bytes()).unwrap();
        client
    };
    // Wrong tokens, a client that leaves, a pair that ends, one that is cut, and a server that is down.
    for guess in ["guess\n", "another guess\n"] {
        drop(client(guess));
    }
    drop(client(""));
    rig.couplet.events("refused", 3);
    for cut in [false, true] {
        let client = client("0123456789abcdef0123456789abcdef\n");
        let server = couplet_tests::net::accept(&rig.server);
        rig.couplet.joined(1 + usize::from(cut));
        if cut {
            rig.ctl(&["cut", "--all"]).ok();
        }
        drop((client, server));
        rig.couplet.ended(1 + usize::from(cut));
    }
    let Rig {
        couplet,
        server,
        folder,
    } = rig;
    drop(server);
    let rig = Rig {
        couplet,
        server: couplet_tests::net::listen(),
        folder,
    };
    let mut unlucky = connect(rig.couplet.address('A'));
    unlucky
        .write_all(b"0123456789abcdef0123456789abcdef\n")
        .unwrap();
    rig.couplet.events("refused", 4);
    let served = until("all of it", || {
        let served = curl(&format!("http://{}/metrics", rig.address()));
        let lines = fs::read_to_string(log.path()).unwrap();
        (lines.lines().count() == 6).then_some((served, lines))
    });
    let (served, lines) = served;
    let states: Vec<_> = lines
        .lines()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    let logged = |is: &dyn Fn(&str) -> bool| states.iter().filter(|state| is(state)).count();
    let sum = |prefix: &str| -> usize {
        let counts = served
            .lines()
            .filter_map(|line| line.strip_prefix(prefix)?.rsplit(' ').next());
        counts.map(|count| count.parse::<usize>().unwrap()).sum()
    };
    assert_eq!(
        sum("couplet_refused_total{relay=\"relay\",side=\"a\""),
        logged(&|state| state.starts_with('a')),
        "{lines}\n{served}"
    );
    assert_eq!(
        sum("couplet_refused_total{relay=\"relay\",side=\"a\",reason=\"dial\""),
        1
    );
    assert_eq!(
        sum("couplet_refused_total{relay=\"relay\",side=\"a\",reason=\"token\""),
        2
    );
    assert_eq!(sum("couplet_refused_total{relay=\"relay\",side=\"b\""), 0);
    for state in ["AF", "BF", "AR", "BR", "OC"] {
        let counted = sum(&format!(
            "couplet_pairs_ended_total{{relay=\"relay\",state=\"{state}\"}}"
        ));
        assert_eq!(
            counted,
            logged(&|logged| logged == state),
            "{state}: {lines}"
        );
    }
}
