//! Sinks beside the same rows loaded by hand, on the same server with the settings it comes with.
//!
//! - K1 A sink's time begins with the start of its worker's process, and ends when the last row is committed.
//! - K2 What is in the table afterwards is counted and summed, or the run is none.

mod by_hand;
mod rows;

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use servers::Postgres;

use crate::broker::{Broker, System};
use crate::figure::{Figure, Run, less, more};
use crate::load;
use crate::process::{self, Running};
use crate::setting::Setting;

const LIMIT: Duration = Duration::from_secs(900);
/// How often the database is asked how far a sink came.
const ASK_EVERY: Duration = Duration::from_millis(20);
const TOPIC: &str = "rides";
const PARTITIONS: u32 = 6;
/// Rows that are to come through after a worker was killed.
const TAKEN_ROWS: u64 = 6_000;

/// How many rows: three million at the default size.
fn count(setting: &Setting) -> u64 {
    ((setting.gigabytes * 3e5) as u64).max(10_000)
}

/// What belongs beside the figures.
pub fn words(setting: &Setting) -> String {
    format!(
        "{} rows of {} B JSON in {PARTITIONS} partitions, one worker from its start to the last row; upserts by a key that each row has of its own, latest by one of {} users",
        count(setting),
        rows::JSON_BYTES,
        rows::USERS,
    )
}

/// What a sink reaches of what was reached by hand.
pub fn compared(run: &Run) -> Vec<Figure> {
    let by_hand = run.value(System::ByHand, "append");
    let of_hand = |name: &str, of: &str| {
        let rate = run.value(System::Ottla, name)?;
        Some(more(of, rate / by_hand?, "times"))
    };
    [of_hand("append", "append_of_hand"), of_hand("upsert", "upsert_of_hand")].into_iter().flatten().collect()
}

/// PostgreSQL; nothing where it is not installed.
pub fn postgres(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let Some(server) = Postgres::start("bench-postgres") else { return Ok(Vec::new()) };
    if system == System::ByHand {
        return by_hand::postgres(setting, &server, count(setting));
    }
    let broker = system.start_fresh(setting)?;
    let figures = measure(setting, &broker, server.url(), Session::Postgres(server.session()))?;
    broker.stop()?;
    Ok(figures)
}

/// SQLite: a file in the harness's own folder.
pub fn sqlite(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    if system == System::ByHand {
        return by_hand::sqlite(setting, count(setting));
    }
    let broker = system.start_fresh(setting)?;
    let file = setting.data.join("sinks.db");
    let session = Session::Sqlite(rusqlite::Connection::open(&file)?);
    let figures = measure(setting, &broker, format!("sqlite:{}", file.display()), session)?;
    broker.stop()?;
    Ok(figures)
}

fn measure(setting: &Setting, broker: &Broker, url: String, session: Session) -> Result<Vec<Figure>> {
    load::create_topic(setting, broker, TOPIC, PARTITIONS)?;
    let count = count(setting);
    produce(setting, broker, 0, count)?;
    let mut course = Course { setting, broker, url, session };
    let mut figures = course.figures(count)?;
    figures.extend(course.takeover(count)?);
    Ok(figures)
}

/// Where a database is asked how it stands.
enum Session {
    Postgres(servers::Session),
    Sqlite(rusqlite::Connection),
}

impl Session {
    /// The one value that a statement answers.
    fn ask(&mut self, statement: &str) -> Result<String> {
        Ok(match self {
            Session::Postgres(session) => session.ask(statement),
            Session::Sqlite(file) => file.query_row(statement, [], |row| row.get::<_, i64>(0))?.to_string(),
        })
    }

    /// Whether the table of offsets is there.
    fn has_offsets(&mut self) -> Result<bool> {
        let answer = self.ask(match self {
            Session::Postgres(_) => "SELECT count(to_regclass('ottla_offsets'))",
            Session::Sqlite(_) => "SELECT count(*) FROM sqlite_master WHERE name = 'ottla_offsets'",
        });
        Ok(answer? == "1")
    }

    /// Brings to the disk what earlier loads left to be written.
    fn settle(&mut self) -> Result<()> {
        match self {
            Session::Postgres(session) => drop(session.ask("CHECKPOINT")),
            Session::Sqlite(_) => rustix::fs::sync(),
        }
        Ok(())
    }
}

/// Writes rows to the topic, each with its id as key.
fn produce(setting: &Setting, broker: &Broker, first: u64, count: u64) -> Result<()> {
    let lines = setting.data.join("records");
    rows::write_records(&lines, first, count)?;
    let mut command = setting.load(&setting.ottla);
    command.args(["produce", TOPIC, "-k", "|", "--bootstrap", broker.bootstrap(), "-f"]).arg(&lines);
    process::output(&mut command, Some(&setting.log("produce")), LIMIT)?;
    fs::remove_file(&lines).with_context(|| format!("removing {}", lines.display()))
}

/// A database, and the broker whose records go there.
struct Course<'a> {
    setting: &'a Setting,
    broker: &'a Broker,
    url: String,
    session: Session,
}

impl Course<'_> {
    /// Appends, upserts of rows that are all new, and upserts of the newest row of each user.
    fn figures(&mut self, count: u64) -> Result<Vec<Figure>> {
        let mut figures = self.carry("append", "", count, count)?;
        figures.extend(self.carry("upsert", "mode = 'upsert'\nkey = ['id']\n", count, count)?);
        figures.extend(self.carry(
            "latest",
            "mode = 'upsert'\nkey = ['user']\n",
            count,
            rows::USERS.min(count),
        )?);
        Ok(figures)
    }

    /// Runs a sink until it has carried `count` records, which is to leave so many rows in a table of its name.
    fn carry(&mut self, name: &str, more_keys: &str, count: u64, rows: u64) -> Result<Vec<Figure>> {
        self.session.settle()?;
        let broker_cpu = self.broker.cpu_seconds()?;
        let begun = Instant::now();
        let mut worker = self.start(name, name, more_keys)?;
        self.wait_for(name, count, begun + LIMIT, &mut worker)?;
        let seconds = begun.elapsed().as_secs_f64();
        let millions = count as f64 / 1e6;
        let figures = vec![
            more(name, count as f64 / seconds, "rows/s"),
            less(format!("{name}_cpu"), process::cpu_seconds(worker.pid())? / millions, "CPU-µs/row"),
            less(
                format!("{name}_broker_cpu"),
                (self.broker.cpu_seconds()? - broker_cpu) / millions,
                "CPU-µs/row",
            ),
            less(format!("{name}_rss_most"), process::memory_bytes(worker.pid(), "VmHWM")? / 1e6, "MB"),
        ];
        worker.terminate()?;
        worker.wait(LIMIT)?;
        let found = self.session.ask(&format!("SELECT count(*) FROM {name}"))?;
        ensure!(found == rows.to_string(), "{found} rows in {name} instead of {rows}");
        Ok(figures)
    }

    /// How long rows wait for the worker that is left when one of two is killed.
    fn takeover(&mut self, first: u64) -> Result<Vec<Figure>> {
        let logs = ["takeover-1", "takeover-2"];
        let mut workers = Vec::new();
        for log in logs {
            workers.push(self.start("takeover", log, "begin = 'latest'\n")?);
        }
        let deadline = Instant::now() + LIMIT;
        let shared = |log: &&str| {
            let told = fs::read_to_string(self.setting.log(log)).unwrap_or_default();
            told.lines()
                .rfind(|line| line.contains("partitions are"))
                .is_some_and(|line| line.contains(" 3 "))
        };
        while !logs.iter().all(shared) {
            ensure!(Instant::now() < deadline, "two workers do not share {PARTITIONS} partitions");
            std::thread::sleep(ASK_EVERY);
        }
        let mut killed = workers.swap_remove(0);
        self.wait_for("takeover", first, deadline, &mut killed)?;
        killed.kill()?;
        let begun = Instant::now();
        produce(self.setting, self.broker, first, TAKEN_ROWS)?;
        self.wait_for("takeover", first + TAKEN_ROWS, deadline, &mut workers[0])?;
        Ok(vec![less("takeover", begun.elapsed().as_secs_f64(), "s")])
    }

    fn start(&self, name: &str, log: &str, more_keys: &str) -> Result<Running> {
        let file = self.setting.data.join(format!("{name}.toml"));
        let url = &self.url;
        let text = format!(
            "name = '{name}'\ntopics = '{TOPIC}'\ntable = '{name}'\n{more_keys}[database]\nurl = '{url}'\n"
        );
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        let log = self.setting.log(log);
        let errors = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = self.setting.load(&self.setting.ottla);
        command.args(["sink", "run"]).arg(file).args(["--bootstrap", self.broker.bootstrap()]);
        Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors))
    }

    /// Waits until a sink's offsets say that it carried so many records.
    fn wait_for(&mut self, name: &str, count: u64, deadline: Instant, worker: &mut Running) -> Result<()> {
        let carried =
            format!("SELECT coalesce(sum(next_offset), 0) FROM ottla_offsets WHERE sink = '{name}'");
        while !self.session.has_offsets()? || self.session.ask(&carried)? != count.to_string() {
            if let Some(status) = worker.ended()? {
                bail!("the worker ended ({status}); see {}", self.setting.log(name).display());
            }
            ensure!(Instant::now() < deadline, "the sink '{name}' does not come to {count} rows");
            std::thread::sleep(ASK_EVERY);
        }
        Ok(())
    }
}
