//! A long run: clients and servers that do everything a connection can do, through every mode and
//! many layers, while memory, descriptors and tasks of the relays are watched.

mod chart;
mod exchange;
mod library;
mod plan;
mod setups;
mod watch;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use tokio::{task::JoinSet, time::Instant};

pub(crate) use self::library::run as run_library;
use self::{
    exchange::Counts,
    setups::{Ends, Setup},
    watch::{Sample, Watch},
};
use crate::{
    args::SoakArgs,
    built::{build, commit},
    descriptors, driver,
    measure::{Machine, today},
    scratch::Scratch,
};

/// What all setups need at most.
const DESCRIPTORS: u64 = 20_000;

/// How often relays are looked at, in a run of any length.
const SAMPLES: u32 = 200;

/// How long connections have to end once no new ones are made.
const QUIET: Duration = Duration::from_secs(120);

pub(crate) fn run(args: &SoakArgs) -> anyhow::Result<()> {
    let minutes = args.minutes;
    ensure!(
        (0.01..=100_000.0).contains(&minutes),
        "--minutes={minutes}: a number from 0.01 to 100000"
    );
    descriptors::raise(DESCRIPTORS);
    eprintln!("building what is run");
    let built = build(&args.profile)?;
    let scratch = Scratch::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = soak(args, &built.couplet, &scratch) => report,
            // What runs is dropped, and so killed.
            interrupted = driver::interrupted() => Err(interrupted),
        }
    })?;
    let text = report.markdown();
    println!("{text}");
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("soak.md"), &text)?;
        fs::write(folder.join("soak.svg"), chart::chart(&report.samples))?;
    }
    let wrong = report.wrong();
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// What was seen.
#[derive(Debug)]
struct Report {
    took: Duration,
    done: u64,
    by_setup: Vec<(&'static str, u64)>,
    by_course: Vec<(&'static str, u64)>,
    failures: Vec<String>,
    failed: u64,
    samples: Vec<Sample>,
    left: Vec<String>,
    is_short: bool,
}

async fn soak(args: &SoakArgs, couplet: &Path, scratch: &Scratch) -> anyhow::Result<Report> {
    let setups = setups::start(couplet, &scratch.0).await?;
    let counts = Arc::new(Counts::default());
    // Servers go on while there are clients.
    let stop = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    // Pools fill, and each setup is used once: what is made for the first connection stays.
    let mut working = JoinSet::new();
    let mut done = Vec::new();
    for setup in &setups {
        let of_setup = Arc::new(AtomicU64::new(0));
        work(
            setup,
            args.parallel,
            &counts,
            &of_setup,
            &stop,
            &mut working,
        );
        done.push((setup.name, of_setup));
    }
    let begin = Instant::now();
    let length = Duration::from_secs_f64(args.minutes * 60.0);
    let mut watch = Watch::new(&setups);
    let mut tick = tokio::time::interval(length / SAMPLES);
    loop {
        tick.tick().await;
        let made = counts.done();
        watch.sample(begin.elapsed(), made)?;
        let enough = args
            .connections
            .is_some_and(|connections| made >= connections);
        if begin.elapsed() >= length || enough || counts.is_hopeless() {
            break;
        }
    }
    let took = begin.elapsed();
    stop[0].store(true, Ordering::Relaxed);
    let waited = tokio::time::timeout(QUIET, async {
        while counts.open() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let is_quiet = waited.await.is_ok();
    stop[1].store(true, Ordering::Relaxed);
    working.abort_all();
    let mut left = watch.wait_for_quiet(QUIET).await?;
    if !is_quiet {
        left.push(format!("{} connections never ended", counts.open()));
    }
    Ok(Report {
        took,
        done: counts.done(),
        by_setup: done
            .into_iter()
            .map(|(name, done)| (name, done.load(Ordering::Relaxed)))
            .collect(),
        by_course: counts.by_course(),
        failed: counts.failed(),
        failures: counts.failures(),
        samples: watch.samples,
        left,
        is_short: args.minutes < 1.0,
    })
}

/// Starts the workers of a setup.
fn work(
    setup: &Setup,
    parallel: usize,
    counts: &Arc<Counts>,
    done: &Arc<AtomicU64>,
    stop: &[Arc<AtomicBool>; 2],
    working: &mut JoinSet<()>,
) {
    let Ends { client, server } = &setup.ends;
    for _ in 0..setup.workers(parallel) {
        for (way, is_client) in [(client, true), (server, false)] {
            let way = way.clone();
            let counts = Arc::clone(counts);
            let done = Arc::clone(done);
            let stop = Arc::clone(&stop[usize::from(!is_client)]);
            let name = setup.name;
            working.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let Some(stream) = way.stream(&stop).await else {
                        continue;
                    };
                    match is_client {
                        true => {
                            counts.client(name, stream).await;
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        false => counts.server(name, stream).await,
                    }
                }
            });
        }
    }
}

/// A number of things.
fn whole(n: u64) -> String {
    match n {
        0..100 => n.to_string(),
        _ => crate::report::number(n as f64),
    }
}

// ===== impl Report =====

impl Report {
    fn markdown(&self) -> String {
        let number = whole;
        let minutes = self.took.as_secs_f64() / 60.0;
        let mut text = format!(
            "{} connections in {minutes:.1} minutes, {} failed. `{}` on {}, {}{}.\n\n",
            number(self.done),
            number(self.failed),
            driver::command(std::env::args().skip(1)),
            Machine::this(),
            today(),
            commit()
                .map(|commit| format!(", commit {commit}"))
                .unwrap_or_default(),
        );
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        for (head, rows) in [("setup", &self.by_setup), ("what happens", &self.by_course)] {
            let mut lines = vec![line([head, "connections"])];
            lines.extend(rows.iter().map(|(name, n)| line([name, &number(*n)])));
            text += &crate::report::align(&lines);
            text.push('\n');
        }
        text += &watch::table(&self.samples);
        for wrong in self.wrong() {
            text += &format!("\n**{wrong}**\n");
        }
        text
    }

    /// What must not be.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = self.failures.clone();
        if self.failed > self.failures.len() as u64 {
            wrong.push(format!("{} failures in all", self.failed));
        }
        if self.done == 0 {
            wrong.push("no connection was made".into());
        }
        wrong.extend(self.left.clone());
        if !self.is_short {
            wrong.extend(watch::growth(&self.samples));
        }
        wrong
    }
}
