//! Records that are refused, and tables that grow.

use servers::{MariaDb, Postgres, run};

use super::database::{Database, SqliteFile};
use super::{Stdio, Worker, folder, ottla, produce, start_broker};

/// Lines `{"id":…}`.
fn ids(range: std::ops::Range<u32>) -> String {
    range.map(|id| format!("{{\"id\":{id}}}\n")).collect()
}

/// How a table `a` comes to refuse one of ten thousand rows.
struct Refusal {
    /// The statements that make it so.
    make: &'static [&'static str],
    /// What the database says, and its code.
    says: &'static str,
    code: &'static str,
    /// The statement after which it takes that row.
    mend: &'static str,
}

const CHECK: &[&str] = &["CREATE TABLE a (id bigint, CONSTRAINT lucky CHECK (id <> 7777))"];
const NO_CHECK: &str = "ALTER TABLE a DROP CONSTRAINT lucky";

#[test]
fn postgresql_gets_all_but_the_poison_row_and_that_when_it_is_mended() {
    let Some(database) = Postgres::shared("poison") else { return };
    let says = "new row for relation \"a\" violates check constraint \"lucky\"";
    poison(&database, "sink-poison", &Refusal { make: CHECK, says, code: "23514", mend: NO_CHECK });
}

#[test]
fn mariadb_gets_all_but_the_poison_row_and_that_when_it_is_mended() {
    let Some(database) = MariaDb::shared("poison") else { return };
    let says = "CONSTRAINT `lucky` failed for `poison`.`a`";
    poison(&database, "sink-poison-m", &Refusal { make: CHECK, says, code: "23000", mend: NO_CHECK });
}

#[test]
fn sqlite_gets_all_but_the_poison_row_and_that_when_it_is_mended() {
    const TRIGGER: &str = "CREATE TRIGGER lucky BEFORE INSERT ON a WHEN NEW.id = 7777 BEGIN SELECT RAISE(ABORT, 'unlucky'); END";
    let files = folder("sink-poison-s-file");
    let refusal = Refusal {
        make: &["CREATE TABLE a (id bigint)", TRIGGER],
        says: "unlucky (SQLite's code 1811)",
        code: "1811",
        mend: "DROP TRIGGER lucky",
    };
    poison(&SqliteFile(files.path().join("it.db")), "sink-poison-s", &refusal);
}

/// Ten thousand records of which the database refuses one.
fn poison(database: &impl Database, name: &str, refusal: &Refusal) {
    let (data, files) = (folder(&format!("{name}-data")), folder(&format!("{name}-files")));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "2"]));
    for statement in refusal.make {
        database.ask(statement);
    }
    let file = files.path().join("a.toml");
    let definition = format!(
        "name = 'a'\ntopics = 'a'\ntable = 'a'\ncolumns.id = 'bigint'\ndatabase.url = '{}'\n",
        database.url()
    );
    let sums = "SELECT count(*), sum(id), count(DISTINCT id) FROM a";
    let letters = || run(&mut ottla(&broker, &["consume", "letters", "-o", "start:end", "-f", "%v %h\\n"]));

    // Nowhere to put it: its partition waits, and the record is named.
    produce(&broker, &files, "a", &ids(0..10_000));
    std::fs::write(&file, &definition).unwrap();
    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    let told = worker.hears(refusal.says);
    assert!(
        told.contains(" waits: the record at offset ") && told.contains("writing 1 rows into 'a'"),
        "{told}"
    );
    worker.stop();

    std::fs::write(&file, format!("dead_letters = 'letters'\n{definition}")).unwrap();
    let worker = Worker::start(&file, &broker, Stdio::piped());
    database.wait_for("SELECT sum(next_offset) FROM ottla_offsets", |told| told == "10000");
    assert_eq!(database.ask(sums), "9999|49987223|9999");
    let letter = letters();
    assert!(letter.lines().count() == 1 && letter.starts_with("{\"id\":7777} "), "{letter}");
    assert_eq!((header(&letter, "ottla.sink"), header(&letter, "ottla.topic")), ("a", "a"));
    assert_eq!(header(&letter, "ottla.sqlstate"), refusal.code, "{letter}");
    assert!(letter.contains("ottla.error=writing 1 rows") && letter.contains(refusal.says), "{letter}");
    // From ten thousand it was found by halves.
    assert!((2..50).contains(&header(&letter, "ottla.attempts").parse::<u32>().unwrap()), "{letter}");

    // What is no row at all is among the letters too, and holds nothing up.
    produce(&broker, &files, "a", "{\"id\":\"x\"}\n{\"id\":10000}\nno JSON\n");
    database.wait_for("SELECT sum(next_offset) FROM ottla_offsets", |told| told == "10003");
    assert_eq!(database.ask(sums), "10000|49997223|10000");
    let of_three = letters();
    assert_eq!(of_three.lines().count(), 3, "{of_three}");
    worker.stop();

    // Nothing was mended, and then the table was. What is in it is no letter any more.
    let retry = || run(ottla(&broker, &["sink", "retry", "-o", "json"]).arg(&file));
    assert_eq!(retry(), "{\"rows\":0,\"refused\":3}");
    database.ask(refusal.mend);
    assert_eq!(retry(), "{\"rows\":1,\"refused\":2}");
    assert_eq!(database.ask(sums), "10001|50005000|10001");
    assert_eq!(retry(), "{\"rows\":0,\"refused\":2}");
    assert_eq!(database.ask(sums), "10001|50005000|10001");

    // A record that should have said something else is mended; the letters name their records.
    let bad = of_three.lines().find(|line| line.starts_with("{\"id\":\"x\"}")).unwrap();
    let record = format!("a:{}:{}", header(bad, "ottla.partition"), header(bad, "ottla.offset"));
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
    assert_eq!(database.ask(sums), "10002|50015001|10002");
}

/// The value of a letter's header that has neither blanks nor commas in it.
fn header<'a>(letter: &'a str, name: &str) -> &'a str {
    let (_, behind) = letter.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("{name}: {letter}"));
    behind.split([',', ' ', '\n']).next().unwrap()
}

#[test]
fn postgresql_gets_new_fields_as_columns() {
    let Some(database) = Postgres::shared("grows") else { return };
    grows(&database, "sink-grows");
}

#[test]
fn mariadb_gets_new_fields_as_columns() {
    let Some(database) = MariaDb::shared("grows") else { return };
    grows(&database, "sink-grows-m");
}

#[test]
fn sqlite_gets_new_fields_as_columns() {
    let files = folder("sink-grows-s-file");
    grows(&SqliteFile(files.path().join("it.db")), "sink-grows-s");
}

/// Records with fields that the table has no columns for, while two workers write.
fn grows(database: &impl Database, name: &str) {
    let (data, files) = (folder(&format!("{name}-data")), folder(&format!("{name}-files")));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "1"]));
    let file = files.path().join("a.toml");
    let definition = format!("name = 'a'\ntopics = 'a'\ntable = 'a'\ndatabase.url = '{}'\n", database.url());
    std::fs::write(&file, definition).unwrap();
    produce(&broker, &files, "a", "{\"id\":1}\n");
    let mut workers = [(); 2].map(|()| Worker::start(&file, &broker, Stdio::piped()));
    database.wait_for("SELECT count(*) FROM a", |count| count == "1");
    produce(
        &broker,
        &files,
        "a",
        "{\"id\":2}\n{\"id\":3,\"who\":null}\n{\"id\":4,\"who\":\"ann\",\"where\":{\"x\":1}}\n{\"id\":5,\"at\":1.5}\n",
    );
    database.wait_for("SELECT count(*) FROM a", |count| count == "5");
    // Databases show JSON and what is null each in their way.
    let told = database.ask("SELECT * FROM a ORDER BY id").replace(": ", ":").replace("NULL", "");
    assert_eq!(told, "1|||\n2|||\n3|||\n4|ann|{\"x\":1}|\n5|||1.5");
    for worker in &mut workers {
        worker.hears("partitions are this worker's");
    }
    workers.into_iter().for_each(Worker::stop);
}
