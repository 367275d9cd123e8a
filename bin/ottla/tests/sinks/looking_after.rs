//! What the commands and a server do with sinks: status, pauses, and `[[sink]]`.

use std::fs::File;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::database::Database;
use super::{
    Command, Folder, PATIENCE, Path, Postgres, Process, Stdio, Worker, folder, ottla, producer, run,
    start_broker,
};

/// Records `{"id":N}` for one partition.
fn produce(broker: &Process, files: &Folder, partition: &str, ids: std::ops::Range<u32>) {
    let lines: String = ids.map(|id| format!("{{\"id\":{id}}}\n")).collect();
    run(producer(broker, files, "a", &lines).args(["--partition", partition]));
}

fn define(files: &Folder, name: &str, url: &str) -> String {
    let definition = format!(
        "name = '{name}'\ntopics = 'a'\ntable = '{name}'\ncolumns.id = 'bigint'\ndatabase.url = '{url}'\n"
    );
    std::fs::write(files.path().join(format!("{name}.toml")), &definition).unwrap();
    definition
}

/// A line of JSON that a command says.
fn told(command: &mut Command) -> Value {
    serde_json::from_str(&run(command)).unwrap()
}

/// Asks for the status of sink `a` until it is as expected.
#[track_caller]
fn status(broker: &Process, expected: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // There may be none yet.
        let output = ottla(broker, &["sink", "status", "a", "-o", "json"]).output().unwrap();
        let status = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        if expected(&status) {
            return status;
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(Instant::now() < deadline, "{status:#} {error}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn numbers<'a>(rows: &'a Value, key: &str) -> Vec<i64> {
    let rows: &'a Vec<Value> = rows.as_array().unwrap();
    rows.iter().map(|row| row[key].as_i64().unwrap_or(-1)).collect()
}

#[test]
fn a_sink_is_looked_after_while_its_database_is_there_and_while_it_is_not() {
    let Some(database) = Postgres::start("sink-status") else { return };
    let (data, files) = (folder("sink-status-data"), folder("sink-status-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "2"]));
    define(&files, "a", &database.url());
    let file = files.path().join("a.toml");
    let unknown = ottla(&broker, &["sink", "status", "a"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("the cluster has no sink 'a'"));

    let mut workers = [(); 2].map(|()| Worker::start(&file, &broker, Stdio::null())).into_iter();
    produce(&broker, &files, "0", 0..10);
    produce(&broker, &files, "1", 10..20);
    let at_rest = |told: &Value| {
        let owners: Vec<_> =
            told["partitions"].as_array().into_iter().flatten().map(|p| &p["owner"]).collect();
        told["state"] == "running" && told["lag"] == 0 && matches!(&owners[..], [a, b] if a != b)
    };
    let told_of =
        status(&broker, |told| at_rest(told) && numbers(&told["workers"], "rows").iter().sum::<i64>() == 20);
    assert_eq!(numbers(&told_of["partitions"], "next"), [10, 10]);
    assert_eq!(numbers(&told_of["partitions"], "end"), [10, 10]);
    assert_eq!(
        (&told_of["lag_s"], &told_of["error"], &told_of["group"]),
        (&0.0.into(), &Value::Null, &"sink-a".into())
    );

    // Paused they live on, and write nothing.
    let paused = told(&mut ottla(&broker, &["sink", "pause", "a", "-o", "json"]));
    assert_eq!((&paused["result"], &paused["workers"]), (&"paused".into(), &2.into()));
    produce(&broker, &files, "0", 20..30);
    let before = status(&broker, |told| told["state"] == "paused" && told["lag"] == 10);
    assert!(0.0 < before["lag_s"].as_f64().unwrap(), "{before:#}");
    status(&broker, |told| {
        let (then, now) = (numbers(&before["workers"], "seen"), numbers(&told["workers"], "seen"));
        then.iter().zip(&now).all(|(then, now)| then + 2_000 < *now)
            && numbers(&told["workers"], "partitions") == [1, 1]
    });
    assert_eq!(database.ask("SELECT count(*) FROM a"), "20");
    let resumed = told(ottla(&broker, &["sink", "resume", "-o", "json"]).arg(&file));
    assert_eq!((&resumed["result"], &resumed["workers"]), (&"resumed".into(), &2.into()));
    status(&broker, at_rest);
    assert_eq!(database.ask("SELECT count(*), sum(id) FROM a"), "30|435");

    // The database is away.
    database.kill();
    produce(&broker, &files, "1", 30..40);
    let failing = status(&broker, |told| told["state"] == "failing" && told["lag"] == 10);
    assert!(failing["error"].as_str().unwrap().contains("Connection refused"), "{failing:#}");
    let list = told(&mut ottla(&broker, &["sink", "list", "-o", "json"]));
    assert_eq!((&list["sink"], &list["workers"], &list["lag"]), (&"a".into(), &2.into(), &10.into()));
    assert_eq!(list["error"], failing["error"]);
    let plan = ottla(&broker, &["sink", "plan"]).arg(&file).output().unwrap();
    assert!(
        String::from_utf8_lossy(&plan.stderr).starts_with("The database cannot be asked what is there: ")
    );
    assert!(String::from_utf8_lossy(&plan.stdout).starts_with("CREATE TABLE"));
    database.start_again();
    let well = status(&broker, |told| at_rest(told) && told["error"].is_null());
    assert!(well["workers"].as_array().unwrap().iter().any(|worker| worker["last_error"].is_string()));
    assert_eq!(database.ask("SELECT count(*), sum(id) FROM a"), "40|780");

    // Of workers that ended nothing is left, and of the sink how far it came.
    workers.by_ref().for_each(Worker::stop);
    let stopped = status(&broker, |told| told["state"] == "stopped");
    assert_eq!((&stopped["lag"], &stopped["workers"]), (&0.into(), &Value::Array(vec![])));
}

/// `serve` with this configuration file.
fn serve(data: &Folder, config: &Path, address: &str) -> Command {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args(["serve", "--listen", address, "--set", "group.initial.rebalance.delay.ms=0", "--config"]);
    serve.arg(config).arg("--data-dir").arg(data.path()).env("OTTLA_TEST_SECRET", "s3cret-of-a-test");
    serve
}

#[test]
fn a_server_runs_its_sinks_and_is_none_the_worse_for_them() {
    let Some(database) = Postgres::shared("sink_serve") else { return };
    let (data, files) = (folder("sink-serve-data"), folder("sink-serve-files"));
    database.ask("CREATE ROLE served LOGIN; CREATE TABLE a (id bigint)");
    define(&files, "a", &database.url());
    let refused = define(&files, "b", &database.url().replace("//postgres@", "//served@"));
    let config = files.path().join("ottla.toml");
    let text = format!(
        "[[sink]]\nfile = 'a.toml'\n[[sink]]\n{refused}database.password_env = 'OTTLA_TEST_SECRET'\n"
    );
    std::fs::write(&config, text).unwrap();
    let log = files.path().join("log");
    let start = |address: &str| {
        let log = File::options().create(true).append(true).open(&log).unwrap();
        Process::start_logging(&mut serve(&data, &config, address), log.into())
    };

    // They start before there is a topic, and try again.
    let mut broker = start("127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "1"]));
    produce(&broker, &files, "0", 0..1_000);
    database.wait_for("SELECT count(*) FROM a", |count| count == "1000");
    let mut producing = {
        let lines: String = (1_000..40_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        producer(&broker, &files, "a", &lines).spawn().unwrap()
    };
    database.wait_for("SELECT count(*) FROM a", |count| 2_000 < count.parse().unwrap());
    broker.kill();
    let mut broker = start(&broker.address().to_string());
    assert!(producing.wait().unwrap().success());
    database.wait_for("SELECT count(DISTINCT id) FROM a", |count| count == "40000");
    assert_eq!(database.ask("SELECT count(*), sum(id) FROM a"), format!("40000|{}", 39_999 * 20_000));

    // One that is refused says so, to the log and to who asks.
    let told = told(&mut ottla(&broker, &["sink", "status", "b", "-o", "json"]));
    assert_eq!(told["state"], "failed", "{told:#}");
    assert!(told["error"].as_str().unwrap().contains("permission denied"), "{told:#}");
    broker.stop();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("sink b: ") && log.contains("permission denied"), "{log}");
    assert!(log.contains("sink a: 1 partitions are this worker's"), "{log}");
    assert!(!log.contains("s3cret-of-a-test"), "{log}");
}

#[test]
fn a_sink_that_is_none_refuses_the_start_with_its_line() {
    let (data, files) = (folder("sink-refused-start-data"), folder("sink-refused-start-files"));
    let config = files.path().join("ottla.toml");
    let refused = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let output = serve(&data, &config, "127.0.0.1:0").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        let said = String::from_utf8(output.stderr).unwrap();
        said.replace(&files.path().display().to_string(), "").trim().to_owned()
    };
    let database = "database.url = 'postgres://h/d'\n";
    let sink = format!("[[sink]]\nname = 'a'\ntopics = 't'\ntable = 't'\n{database}");
    assert_eq!(
        refused("num.partitions = 1\n[[sink]]\nname = 'a'\n"),
        "ottla: /ottla.toml: line 2: 'sink.topics' is missing"
    );
    assert_eq!(refused("sink = 'a.toml'\n"), "ottla: /ottla.toml: line 1: 'sink' is to be tables: [[sink]]");
    assert_eq!(
        refused(&format!("{sink}password = 'x'\n")),
        "ottla: /ottla.toml: line 6: 'sink.password' is no key of a sink"
    );
    assert_eq!(
        refused(&format!("{sink}{sink}")),
        "ottla: /ottla.toml: line 6: sink 'a': another one has that name, by which the database keeps how far it came"
    );
    assert_eq!(
        refused(&format!("{sink}database.password_env = 'OTTLA_TEST_NO_SUCH'\n")),
        "ottla: /ottla.toml: line 1: sink 'a': there is no OTTLA_TEST_NO_SUCH in the environment, which password_env names"
    );
    std::fs::write(files.path().join("b.toml"), "name = 'b'\n").unwrap();
    assert_eq!(
        refused("\n[[sink]]\nfile = 'b.toml'\n"),
        "ottla: /ottla.toml: line 2: /b.toml: line 1: 'topics' is missing"
    );
}
