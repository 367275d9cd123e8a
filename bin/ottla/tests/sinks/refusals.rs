//! Records that are refused, and tables that grow.

use servers::{Postgres, run};

use super::{Stdio, Worker, folder, ottla, produce, start_broker};

/// Lines `{"id":…}`.
fn ids(range: std::ops::Range<u32>) -> String {
    range.map(|id| format!("{{\"id\":{id}}}\n")).collect()
}

#[test]
fn a_poison_row_is_found_among_ten_thousand_and_goes_in_again_when_it_is_mended() {
    let Some(database) = Postgres::start("sink-poison") else { return };
    let (data, files) = (folder("sink-poison-data"), folder("sink-poison-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "2"]));
    database.ask("CREATE TABLE a (id bigint CHECK (id <> 7777))");
    let file = files.path().join("a.toml");
    let definition = format!(
        "name = 'a'\ntopics = 'a'\ntable = 'a'\ncolumns.id = 'bigint'\ndatabase.url = '{}'\n",
        database.url()
    );

    // Nowhere to put it: its partition waits, and the record is named.
    produce(&broker, &files, "a", &ids(0..10_000));
    std::fs::write(&file, &definition).unwrap();
    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    worker.hears("is refused: writing 1 rows into 'a': new row for relation \"a\" violates check constraint");
    worker.stop();

    std::fs::write(&file, format!("dead_letters = 'letters'\n{definition}")).unwrap();
    let worker = Worker::start(&file, &broker, Stdio::piped());
    database.wait_for("SELECT count(*), sum(id) FROM a", |told| told == "9999|49987223");
    database.wait_for("SELECT sum(next_offset) FROM ottla_offsets", |told| told == "10000");
    let consumed = run(&mut ottla(&broker, &["consume", "letters", "-o", "start:end", "-f", "json"]));
    assert_eq!(consumed.lines().count(), 1, "{consumed}");
    for part in
        ["7777", "ottla.sink", "ottla.sqlstate", "23514", "ottla.attempts", "violates check constraint"]
    {
        assert!(consumed.contains(part), "no {part}: {consumed}");
    }

    // What is no row at all is among the letters too, and holds nothing up.
    produce(&broker, &files, "a", "{\"id\":\"x\"}\n{\"id\":10000}\nno JSON\n");
    database.wait_for("SELECT count(*), sum(id) FROM a", |told| told == "10000|49997223");
    database.wait_for("SELECT sum(next_offset) FROM ottla_offsets", |told| told == "10003");
    let consumed = run(&mut ottla(&broker, &["consume", "letters", "-o", "start:end"]));
    assert_eq!(consumed.lines().count(), 3, "{consumed}");
    worker.stop();

    // Nothing was mended, and then the table was.
    let retried = run(ottla(&broker, &["sink", "retry", "-o", "json"]).arg(&file));
    assert_eq!(retried, "{\"rows\":0,\"refused\":3}");
    database.ask("ALTER TABLE a DROP CONSTRAINT a_id_check");
    let retried = run(ottla(&broker, &["sink", "retry", "-o", "json"]).arg(&file));
    assert_eq!(retried, "{\"rows\":1,\"refused\":2}");
    let retried = run(ottla(&broker, &["sink", "retry", "-o", "json"]).arg(&file));
    assert_eq!(retried, "{\"rows\":0,\"refused\":2}", "the one that is in the table is no letter any more");
    assert_eq!(database.ask("SELECT count(*), sum(id), count(DISTINCT id) FROM a"), "10001|50005000|10001");

    // A record that should have said something else is mended; the letters name their records.
    let letters = run(&mut ottla(&broker, &["consume", "letters", "-o", "start:end", "-f", "%v %h\\n"]));
    let bad = letters.lines().find(|line| line.contains("{\"id\":\"x\"}")).unwrap();
    let header = |name: &str| {
        let (_, behind) = bad.split_once(&format!("{name}=")).unwrap();
        behind.split([',', ' ']).next().unwrap().to_owned()
    };
    let record = format!("a:{}:{}", header("ottla.partition"), header("ottla.offset"));
    let mend = |record: &str| {
        let mut command =
            ottla(&broker, &["sink", "retry", "-o", "json", "--value", "{\"id\":10001}", "--mend", record]);
        command.arg(&file).output().unwrap()
    };
    let told = mend(&record);
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "{\"rows\":1,\"refused\":1}\n");
    let told = mend("a:0:999999");
    let refused = String::from_utf8(told.stderr).unwrap();
    assert!(refused.contains("has no letter of sink 'a' about a:0:999999"), "{refused}");
    assert_eq!(database.ask("SELECT count(*), sum(id), count(DISTINCT id) FROM a"), "10002|50015001|10002");
}

#[test]
fn new_fields_become_columns_between_batches() {
    let Some(database) = Postgres::start("sink-grows") else { return };
    let (data, files) = (folder("sink-grows-data"), folder("sink-grows-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "1"]));
    let file = files.path().join("a.toml");
    let definition = format!("name = 'a'\ntopics = 'a'\ntable = 'a'\ndatabase.url = '{}'\n", database.url());
    std::fs::write(&file, definition).unwrap();
    produce(&broker, &files, "a", "{\"id\":1}\n");
    let mut workers = [(); 2].map(|()| Worker::start(&file, &broker, Stdio::piped()));
    database.wait_for("SELECT count(*) FROM pg_tables WHERE tablename = 'a'", |count| count == "1");
    database.wait_for("SELECT count(*) FROM a", |count| count == "1");
    produce(
        &broker,
        &files,
        "a",
        "{\"id\":2}\n{\"id\":3,\"who\":null}\n{\"id\":4,\"who\":\"ann\",\"where\":{\"x\":1}}\n{\"id\":5,\"at\":1.5}\n",
    );
    database.wait_for("SELECT count(*) FROM a", |count| count == "5");
    assert_eq!(
        database.ask("SELECT id, who, \"where\", at FROM a ORDER BY id"),
        "1|||\n2|||\n3|||\n4|ann|{\"x\": 1}|\n5|||1.5"
    );
    workers.iter_mut().for_each(|worker| worker.hears("partitions are this worker's"));
    workers.into_iter().for_each(Worker::stop);
}
