use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::bail;

use super::{Relay, To, backend, find, identity};

pub(super) const NAME: &str = "nginx";
pub(super) const TWO_WORKERS: &str = "nginx-two-workers";
pub(super) const TLS: &str = "nginx-tls";

const MODULE: &str = "ngx_stream_module.so";
const MODULE_FOLDERS: [&str; 4] = [
    "/usr/lib/nginx/modules",
    "/usr/lib64/nginx/modules",
    "/usr/share/nginx/modules",
    "/usr/local/nginx/modules",
];

/// nginx's stream module. It sets `TCP_NODELAY` unless told otherwise. With
/// half-close, as all the others: without, what a server answers after its client's end is lost.
#[derive(Debug)]
pub(super) struct Nginx {
    program: PathBuf,
    /// `None`: it is built in.
    module: Option<PathBuf>,
    version: String,
    workers: u32,
    /// Its clients speak TLS.
    tls: bool,
}

// ===== impl Nginx =====

impl Nginx {
    pub(super) fn find(workers: u32, tls: bool) -> anyhow::Result<Self> {
        let program = find::program("nginx")?;
        let said = find::said(Command::new(&program).arg("-V"));
        let module = MODULE_FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(MODULE))
            .find(|file| file.is_file());
        let built_in = said.split_whitespace().any(|word| word == "--with-stream");
        if module.is_none() && !built_in {
            bail!("its stream module is not installed (Debian: libnginx-mod-stream)");
        }
        Ok(Self {
            program,
            module: module.filter(|_| !built_in),
            version: find::word_after(&said, "nginx/").to_owned(),
            workers,
            tls,
        })
    }
}

impl Relay for Nginx {
    fn name(&self) -> &'static str {
        match self.workers {
            _ if self.tls => TLS,
            1 => NAME,
            _ => TWO_WORKERS,
        }
    }

    fn title(&self) -> &'static str {
        match self.workers {
            1 => "nginx",
            _ => "nginx, 2 workers",
        }
    }

    fn about(&self) -> String {
        format!(
            "{}, its stream module, `worker_processes {}`, `proxy_half_close on` (without it, \
             nginx loses bytes that a server sends after its client's end of stream)",
            self.version, self.workers
        )
    }

    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command> {
        let file = folder.join("nginx.conf");
        let module = self.module.as_deref();
        let certificate = self.tls.then(|| identity::file(folder));
        let config = config(
            listen,
            backend(to)?,
            module,
            self.workers,
            certificate.as_deref(),
            folder,
        );
        fs::write(&file, config)?;
        let mut command = Command::new(&self.program);
        command.args(["-e", "stderr", "-c"]).arg(file);
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        let program = self.program.clone();
        [program].into_iter().chain(self.module.clone()).collect()
    }
}

fn config(
    listen: SocketAddr,
    backend: SocketAddr,
    module: Option<&Path>,
    workers: u32,
    certificate: Option<&Path>,
    folder: &Path,
) -> String {
    let (ssl, certificate) = certificate.map_or(Default::default(), |file| {
        let file = file.display();
        // Up to version 1.23.3 nginx speaks TLS 1.2 at most, unless told.
        let config =
            format!("ssl_protocols TLSv1.3; ssl_certificate {file}; ssl_certificate_key {file};");
        (" ssl", config)
    });
    let module = module.map_or(String::new(), |module| {
        format!("load_module {};", module.display())
    });
    format!(
        "{module}
daemon off;
worker_processes {workers};
pid {pid};
error_log stderr emerg;
events {{
    worker_connections 20000;
}}
stream {{
    access_log off;
    tcp_nodelay on;
    proxy_timeout 1h;
    proxy_socket_keepalive on;
    proxy_half_close on;
    server {{
        listen {listen}{ssl} backlog=4096 so_keepalive=on;
        {certificate}
        proxy_pass {backend};
    }}
}}
",
        pid = folder.join("nginx.pid").display()
    )
}
