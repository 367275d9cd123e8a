//! Each record once, whoever is killed: workers, the broker, the database, or the connections between.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use servers::{MariaDb, Postgres, run};
use sim_tests::process::{Folder, Process};

use super::database::{Database, SqliteFile};
use super::proxy::Proxy;
use super::{Worker, folder, ottla, producer, start_broker};

/// Records that are produced for each kill.
const RECORDS: usize = 8_000;

/// Rows of an upsert, each of which many records are about.
const ROWS: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Append,
    Upsert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    BothWorkers,
    Broker,
    Database,
    Connections,
}

use Victim::{BothWorkers, Broker, Connections, Database as Server, Worker as OneWorker};

/// Who is killed in turn. A killed worker is missed for a session's timeout, in which the others wait, so it comes last in the
/// short run and seldom in the long one.
const SERVER: &[Victim] = &[Connections, Server, Broker, OneWorker];
const SERVER_LONG: &[Victim] =
    &[Connections, Server, Broker, Connections, Server, Connections, Broker, Server, OneWorker];
const FILE: &[Victim] = &[Broker, OneWorker, Broker, BothWorkers];
const FILE_LONG: &[Victim] =
    &[Broker, Broker, Broker, OneWorker, Broker, Broker, Broker, Broker, BothWorkers];

#[test]
fn postgresql_has_each_record_once() {
    check(|| Postgres::start("sink-kills-append"), "postgres", Mode::Append);
}

#[test]
fn postgresql_has_the_last_of_each_key() {
    check(|| Postgres::start("sink-kills-upsert"), "postgres", Mode::Upsert);
}

#[test]
fn mariadb_has_each_record_once() {
    check(|| MariaDb::start("sink-kills-append-m"), "mariadb", Mode::Append);
}

#[test]
fn mariadb_has_the_last_of_each_key() {
    check(|| MariaDb::start("sink-kills-upsert-m"), "mariadb", Mode::Upsert);
}

#[test]
fn sqlite_has_each_record_once() {
    let files = folder("sink-kills-append-sqlite");
    check(|| Some(SqliteFile(files.path().join("it.db"))), "sqlite", Mode::Append);
}

#[test]
fn sqlite_has_the_last_of_each_key() {
    let files = folder("sink-kills-upsert-sqlite");
    check(|| Some(SqliteFile(files.path().join("it.db"))), "sqlite", Mode::Upsert);
}

/// Produces `OTTLA_SINK_RECORDS` records (32,000) while one after the other is killed, and looks at what is in the table.
fn check<D: Database>(start: impl FnOnce() -> Option<D>, name: &str, mode: Mode) {
    let Some(database) = start() else { return };
    let records = std::env::var("OTTLA_SINK_RECORDS").map_or(4 * RECORDS, |records| records.parse().unwrap());
    let is_long = 4 * RECORDS < records;
    let victims = match (database.port().is_some(), is_long) {
        (true, false) => SERVER,
        (true, true) => SERVER_LONG,
        (false, false) => FILE,
        (false, true) => FILE_LONG,
    };
    let mut scene = Scene::start(&database, name, mode);
    for (kill, &victim) in (0..records.div_ceil(RECORDS)).zip(victims.iter().cycle()) {
        let mut producing = scene.produce(RECORDS.min(records - kill * RECORDS)).spawn().unwrap();
        let fewest = (kill * RECORDS + RECORDS / 8).to_string();
        let has_begun = |answer: &str| {
            let number = |text: &str| text.parse::<usize>().unwrap_or_default();
            number(&fewest) <= number(answer)
        };
        if is_long {
            // Every one to three seconds, wherever the others are.
            let pause_ms = 1_000 + (kill * 7_919 + std::process::id() as usize) % 2_000;
            std::thread::sleep(Duration::from_millis(pause_ms as u64));
        } else {
            database.wait_for("SELECT sum(next_offset) FROM ottla_offsets", has_begun);
        }
        println!("{name}, {mode:?}: killing {victim:?} at {} of {}", scene.progress(), scene.produced);
        scene.kill(victim);
        assert!(producing.wait().unwrap().success());
    }
    let all = scene.produced.to_string();
    database.wait_for("SELECT sum(next_offset) FROM ottla_offsets", |answer| answer == all);
    let told = database.ask("SELECT count(*), count(DISTINCT id), sum(n), sum(mix) FROM orders");
    println!("{name}, {mode:?}: count, keys, sum and checksum {told}");
    assert_eq!(told, expected(scene.produced, mode));
    scene.workers.into_iter().for_each(Worker::stop);
    assert_eq!(database.ask("SELECT count(*) FROM ottla_offsets"), "6");
}

/// What must be in the table: every record, or the last of each key.
fn expected(produced: usize, mode: Mode) -> String {
    let first = if mode == Mode::Append { 0 } else { produced.saturating_sub(ROWS) };
    let count = produced - first;
    let sum: usize = (first..produced).sum();
    let checksum: u64 = (first..produced).map(mix).sum();
    format!("{count}|{count}|{sum}|{checksum}")
}

/// What a record says beside its number, so that no sum comes out right by chance.
fn mix(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33
}

/// Two workers, a broker and a database.
struct Scene<'a, D> {
    database: &'a D,
    proxy: Option<Proxy>,
    data: Folder,
    files: Folder,
    broker: Process,
    workers: Vec<Worker>,
    mode: Mode,
    produced: usize,
}

impl<'a, D: Database> Scene<'a, D> {
    fn start(database: &'a D, name: &str, mode: Mode) -> Scene<'a, D> {
        let (data, files) = (
            folder(&format!("sink-kills-{name}-{mode:?}-data")),
            folder(&format!("sink-kills-{name}-{mode:?}-files")),
        );
        let broker = start_broker(&data, "127.0.0.1:0");
        run(&mut ottla(&broker, &["topic", "create", "orders", "--partitions", "6"]));
        let proxy = database.port().map(Proxy::start);
        let mut url = database.url();
        if let (Some(proxy), Some(port)) = (&proxy, database.port()) {
            url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        }
        let how = match mode {
            Mode::Append => "",
            Mode::Upsert => "mode = 'upsert'\nkey = 'id'\n",
        };
        let definition = format!(
            "name = 'orders'\ntopics = 'orders'\ntable = 'orders'\n{how}flush.rows = 500\nsession_timeout_ms = 3000\n\
             [columns]\nid = 'bigint'\nn = 'bigint'\nmix = 'bigint'\n[database]\nurl = '{url}'\n"
        );
        std::fs::write(files.path().join("orders.toml"), definition).unwrap();
        let mut scene =
            Scene { database, proxy, data, files, broker, workers: Vec::new(), mode, produced: 0 };
        scene.workers = vec![scene.worker(), scene.worker()];
        scene
    }

    fn file(&self) -> PathBuf {
        self.files.path().join("orders.toml")
    }

    fn worker(&self) -> Worker {
        Worker::start(Path::new(&self.file()), &self.broker, Stdio::null())
    }

    /// What produces so many more records. A key's records are in one partition, in order.
    fn produce(&mut self, count: usize) -> std::process::Command {
        let mut lines = String::new();
        for number in self.produced..self.produced + count {
            let id = if self.mode == Mode::Append { number } else { number % ROWS };
            let checksum = mix(number);
            writeln!(lines, "{id}\t{{\"id\":{id},\"n\":{number},\"mix\":{checksum}}}").unwrap();
        }
        self.produced += count;
        let mut command = producer(&self.broker, &self.files, "orders", &lines);
        command.args(["-k", "\\t"]);
        command
    }

    fn progress(&self) -> String {
        let answer = self.database.try_ask("SELECT sum(next_offset) FROM ottla_offsets");
        answer.unwrap_or_else(|_| "none".to_owned())
    }

    fn kill(&mut self, victim: Victim) {
        assert!(self.workers.iter_mut().all(Worker::is_running), "a worker ended by itself");
        match victim {
            Victim::Worker => self.workers[0] = self.worker(),
            Victim::BothWorkers => {
                self.workers.clear();
                self.workers = vec![self.worker(), self.worker()];
            }
            Victim::Broker => {
                let address = self.broker.address().to_string();
                self.broker.kill();
                self.broker = start_broker(&self.data, &address);
            }
            Victim::Database => self.database.kill_and_start_again(),
            Victim::Connections => {
                if let Some(proxy) = &self.proxy {
                    proxy.cut();
                }
            }
        }
    }
}
