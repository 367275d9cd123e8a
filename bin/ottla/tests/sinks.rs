//! Sinks into real databases: what users see of them, and each record once whoever is killed.
//!
//! Servers are the system's (`apt-get install postgresql mariadb-server`), see `tests/servers`. `OTTLA_SINK_RECORDS` sets how
//! many records are carried while all are killed in turn (32,000).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this test runs processes of the real operating system, and fails where it fails"
)]

#[path = "sinks/database.rs"]
mod database;
#[path = "sinks/kills.rs"]
mod kills;
#[path = "sinks/looking_after.rs"]
mod looking_after;
#[path = "sinks/memory.rs"]
mod memory;
#[path = "sinks/proxy.rs"]
mod proxy;
#[path = "sinks/refusals.rs"]
mod refusals;
#[path = "sinks/troubles.rs"]
mod troubles;
#[path = "sinks/unread.rs"]
mod unread;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use database::Database;
use servers::{Postgres, run};
use sim_tests::process::{Folder, Process};

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A worker of a sink.
struct Worker {
    child: Child,
    /// The lines it says, where somebody listens.
    told: Option<mpsc::Receiver<String>>,
}

impl Worker {
    fn start(file: &Path, broker: &Process, stderr: Stdio) -> Worker {
        Worker::spawn(ottla(broker, &["sink", "run"]).arg(file), stderr)
    }

    fn spawn(command: &mut Command, stderr: Stdio) -> Worker {
        let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let told = child.stderr.take().map(|stderr| {
            let (teller, told) = mpsc::channel();
            let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
            std::thread::spawn(move || lines.all(|line| teller.send(line).is_ok()));
            told
        });
        Worker { child, told }
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it says something; returns what it said until then.
    fn hears(&mut self, text: &str) -> String {
        let (told, deadline) = (self.told.as_ref().unwrap(), Instant::now() + PATIENCE);
        let mut all = String::new();
        while !all.contains(text) {
            match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => all.extend([line.as_str(), "\n"]),
                Err(error) => panic!("it does not say '{text}' ({error}): {all}"),
            }
        }
        all
    }

    /// Ends it as a user does.
    fn stop(mut self) {
        run(Command::new("kill").arg(self.child.id().to_string()));
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ottla(broker: &Process, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(arguments).env("OTTLA_BOOTSTRAP", broker.address().to_string());
    command
}

/// A command as others start it: with their rights, or for their time.
fn by(other: &[&str], command: &Command) -> Command {
    let mut same = Command::new("env");
    same.args(other).arg(command.get_program()).args(command.get_args());
    same.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    same
}

/// What a worker says that cannot begin.
#[track_caller]
fn last_words(broker: &Process, file: &Path) -> String {
    let mut run_it = by(&["timeout", "120"], ottla(broker, &["sink", "run"]).arg(file));
    let output = run_it.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    told
}

fn start_broker(folder: &Folder, address: &str) -> Process {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args(["serve", "--listen", address, "--set", "group.initial.rebalance.delay.ms=0"]);
    // A killed worker is missed sooner than others would like.
    serve.args(["--set", "group.min.session.timeout.ms=1000"]);
    Process::start(serve.arg("--data-dir").arg(folder.path()))
}

/// What writes these lines, a record each; once, as its producer is idempotent.
fn producer(broker: &Process, folder: &Folder, topic: &str, lines: &str) -> Command {
    let file = folder.path().join("records");
    std::fs::write(&file, lines).unwrap();
    let mut command = ottla(broker, &["produce", topic, "-f"]);
    command.arg(file).stdout(Stdio::null());
    command
}

fn produce(broker: &Process, folder: &Folder, topic: &str, lines: &str) {
    run(&mut producer(broker, folder, topic, lines));
}

fn folder(name: &str) -> Folder {
    Folder::new(env!("CARGO_TARGET_TMPDIR"), name)
}

#[test]
fn plain_json_becomes_a_table_and_what_does_not_fit_waits() {
    let Some(database) = Postgres::shared("sink_table") else { return };
    let (data, files) = (folder("sink-table-data"), folder("sink-table-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "rides", "--partitions", "1"]));
    produce(
        &broker,
        &files,
        "rides",
        "{\"id\":1,\"user\":{\"name\":\"ä\"},\"speed\":2,\"at\":\"2026-01-31T12:00:00.000001Z\",\"ok\":true}\n\
         {\"id\":2,\"speed\":2.5,\"kind\":\"x\"}\n",
    );
    let file = files.path().join("rides.toml");
    let url = database.url();
    let definition = format!("name = 'rides'\ntopics = 'rides'\ntable = 'rides'\ndatabase.url = '{url}'\n");
    std::fs::write(&file, definition).unwrap();
    let plan = run(ottla(&broker, &["sink", "plan"]).arg(&file));
    let expected = "CREATE TABLE IF NOT EXISTS \"rides\" (\n  \"id\" bigint,\n  \"user\" jsonb,\n  \"speed\" double \
                    precision,\n  \"at\" timestamptz,\n  \"ok\" boolean,\n  \"kind\" text\n);";
    assert!(plan.starts_with(expected), "{plan}");

    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    database.wait_for("SELECT count(*) FROM rides", |count| count == "2");
    assert_eq!(
        database.ask("SET timezone = 'UTC'; SELECT * FROM rides ORDER BY id"),
        "1|{\"name\": \"ä\"}|2|2026-01-31 12:00:00.000001+00|t|\n2||2.5|||x"
    );
    produce(&broker, &files, "rides", "{\"id\":3}\n{\"id\":\"four\"}\n{\"id\":5}\n");
    worker.hears("rides-0 waits: the record at offset 3 is refused: 'id' is \"four\", which is no bigint");
    database.wait_for("SELECT string_agg(id::text, ' ' ORDER BY id) FROM rides", |ids| ids == "1 2 3");
    database.wait_for("SELECT next_offset FROM ottla_offsets", |offset| offset == "3");
    worker.stop();

    run(&mut ottla(&broker, &["topic", "delete", "rides"]));
    run(&mut ottla(&broker, &["topic", "create", "rides", "--partitions", "1"]));
    produce(&broker, &files, "rides", &"{\"id\":9}\n".repeat(9));
    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    worker.hears("rides-0 waits: rides-0 is of topic ");
    worker.stop();
    assert_eq!(database.ask("SELECT count(*), max(epoch) FROM rides, ottla_offsets"), "3|2");
}

#[test]
fn what_a_database_refuses_is_said_in_its_words() {
    let Some(database) = Postgres::shared("sink_refused") else { return };
    let (data, files) = (folder("sink-refused-data"), folder("sink-refused-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a"]));
    database.ask("CREATE TABLE made (a boolean); CREATE ROLE refused LOGIN");
    let refused = |user: &str, table: &str, more: &str| {
        let file = files.path().join("a.toml");
        let url = database.url().replace("//postgres@", &format!("//{user}@"));
        let definition = format!(
            "name = 'a'\ntopics = 'a'\ntable = '{table}'\ncolumns.a = 'bigint'\n[database]\nurl = '{url}'\n{more}"
        );
        std::fs::write(&file, definition).unwrap();
        last_words(&broker, &file)
    };
    let told = refused("postgres", "made", "");
    assert!(
        told.contains("column 'a' of table 'made' is boolean, which does not hold every bigint: give"),
        "{told}"
    );
    let told = refused("refused", "new", "");
    assert!(told.contains("permission denied for schema public"), "{told}");
    let told = refused("stranger", "new", "");
    assert!(told.contains("role \"stranger\" does not exist, SQLSTATE 28000"), "{told}");
    let told = refused("postgres:secret", "new", "");
    assert!(told.contains("a password does not belong in the url") && !told.contains("secret"), "{told}");
}

#[test]
fn rows_and_their_offsets_are_written_together_or_not_at_all() {
    let Some(database) = Postgres::shared("sink_together") else { return };
    let (data, files) = (folder("sink-together-data"), folder("sink-together-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "1"]));
    let file = files.path().join("a.toml");
    let url = database.url();
    let definition =
        format!("name = 'a'\ntopics = 'a'\ntable = 'a'\ncolumns.id = 'bigint'\ndatabase.url = '{url}'\n");
    std::fs::write(&file, definition).unwrap();
    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    let records = |ids: std::ops::Range<u32>| ids.map(|id| format!("{{\"id\":{id}}}\n")).collect::<String>();
    produce(&broker, &files, "a", &records(0..10));
    database.wait_for("SELECT next_offset FROM ottla_offsets", |offset| offset == "10");

    // The rows are with the database when it refuses their offset: they go with it.
    database.ask(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; END $$; \
         CREATE TRIGGER refusing BEFORE UPDATE OF next_offset ON ottla_offsets EXECUTE FUNCTION refuse()",
    );
    produce(&broker, &files, "a", &records(10..20));
    worker.hears("not now");
    worker.hears("not now");
    assert_eq!(database.ask("SELECT count(*), sum(id) FROM a"), "10|45");
    database.ask("DROP TRIGGER refusing ON ottla_offsets");
    database.wait_for("SELECT next_offset FROM ottla_offsets", |offset| offset == "20");
    assert_eq!(database.ask("SELECT count(*), sum(id) FROM a"), "20|190");

    // Another owner has been here: what the older one had read changes nothing before it takes the partition again.
    let epoch = database.ask("UPDATE ottla_offsets SET epoch = epoch + 5, next_offset = 25 RETURNING epoch");
    produce(&broker, &files, "a", &records(20..30));
    database.wait_for("SELECT next_offset FROM ottla_offsets", |offset| offset == "30");
    assert_eq!(database.ask("SELECT count(*), sum(id) FROM a WHERE 20 <= id"), "5|135");
    assert_eq!(database.ask(&format!("SELECT {epoch} < epoch FROM ottla_offsets")), "t");
    worker.stop();
}
