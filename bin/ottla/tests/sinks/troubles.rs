//! What databases refuse and run out of: said in their words, and nothing lost or doubled when it is mended.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use servers::{MariaDb, Postgres, SmallDisk, run};
use sim_tests::process::{Folder, Process};

use super::database::{Database, SqliteFile};
use super::{Worker, by, folder, last_words, ottla, produce, start_broker};

/// What a worker says that cannot begin. It must not say the password, which is `secret`.
#[track_caller]
fn refused(broker: &Process, files: &Folder, url: &str, table: &str) -> String {
    let (file, password) = (files.path().join("a.toml"), files.path().join("password"));
    let mut definition = format!(
        "name = 'a'\ntopics = 'a'\ntable = '{table}'\ncolumns.a = 'bigint'\n[database]\nurl = '{url}'\n"
    );
    if !url.starts_with("sqlite") {
        std::fs::write(&password, "secret\n").unwrap();
        definition.push_str(&format!("password_file = '{}'\n", password.display()));
    }
    std::fs::write(&file, definition).unwrap();
    let told = last_words(broker, &file);
    assert!(!told.contains("secret"), "{told}");
    told
}

fn broker(name: &str) -> (Process, Folder, Folder) {
    let (data, files) = (folder(&format!("{name}-data")), folder(&format!("{name}-files")));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "a", "--partitions", "2"]));
    (broker, data, files)
}

#[test]
fn postgresql_says_why_a_worker_cannot_begin() {
    let Some(database) = Postgres::start("sink-begin") else { return };
    let (broker, _data, files) = broker("sink-begin");
    database.ask("CREATE ROLE known LOGIN PASSWORD 'other'");
    let rules = "('host all known 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')";
    let hba = database.ask("SHOW hba_file");
    database.ask(&format!("COPY (VALUES {rules}) TO '{hba}'"));
    database.ask("SELECT pg_reload_conf()");
    let url = Database::url(&database).replace("//postgres@", "//known@");
    // The server reads its rules when it gets to it.
    let told = loop {
        let told = refused(&broker, &files, &url, "new");
        if !told.contains("permission denied") {
            break told;
        }
    };
    assert!(told.contains("password authentication failed for user \"known\""), "{told}");
    database.ask("CREATE TABLE strange (a point)");
    let told = refused(&broker, &files, &Database::url(&database), "strange");
    assert!(
        told.contains("column 'a' of table 'strange' is point, which does not hold every bigint"),
        "{told}"
    );
}

#[test]
fn mariadb_says_why_a_worker_cannot_begin() {
    let Some(database) = MariaDb::shared("begun") else { return };
    let (broker, _data, files) = broker("sink-begin-m");
    let url = Database::url(&database).replace("ottla@", "known@");
    database.ask(
        "CREATE USER known@'127.0.0.1' IDENTIFIED BY 'other'; GRANT SELECT ON begun.* TO known@'127.0.0.1'",
    );
    let told = refused(&broker, &files, &url, "new");
    assert!(told.contains("Access denied for user 'known'@'127.0.0.1' (using password: YES)"), "{told}");
    database.ask("ALTER USER known@'127.0.0.1' IDENTIFIED BY 'secret'");
    let told = refused(&broker, &files, &url, "new");
    assert!(told.contains("CREATE command denied to user 'known'@'127.0.0.1'"), "{told}");
    database.ask("CREATE TABLE made (a DATE); GRANT ALL ON begun.* TO known@'127.0.0.1'");
    let told = refused(&broker, &files, &url, "made");
    assert!(
        told.contains("column 'a' of table 'made' is date, which does not keep bigint as it is"),
        "{told}"
    );
    database.ask("CREATE TABLE strange (a POINT)");
    let told = refused(&broker, &files, &url, "strange");
    assert!(told.contains("column 'a' of table 'strange' is point, which does not keep bigint"), "{told}");
}

#[test]
fn sqlite_says_why_a_worker_cannot_begin() {
    let (broker, _data, files) = broker("sink-begin-s");
    let told = refused(&broker, &files, "sqlite:/nowhere/it.db", "new");
    assert!(told.contains("unable to open database file") && told.contains("its folder"), "{told}");
    let database = SqliteFile(files.path().join("it.db"));
    database.ask("CREATE TABLE made (a DATE NOT NULL, b TEXT NOT NULL)");
    let told = refused(&broker, &files, &database.url(), "made");
    assert!(told.contains("column 'b' of table 'made' is NOT NULL without a DEFAULT"), "{told}");
    database.ask("CREATE TABLE texts (a VARCHAR(9))");
    let told = refused(&broker, &files, &database.url(), "texts");
    assert!(
        told.contains("column 'a' of table 'texts' is VARCHAR(9), which does not keep bigint as it is"),
        "{told}"
    );
}

/// What is done to a database, what a worker then says, and what mends it.
type Trouble = (&'static str, &'static str, &'static str);

/// Somebody else takes what a worker has, and does nothing with it: the worker finds out, and takes it again.
const TAKEN: Trouble =
    ("UPDATE ottla_offsets SET epoch = epoch + 1", "was taken by another worker", "SELECT 1");

/// A worker that meets each trouble, and has everything in the table in the end.
fn meets(database: &impl Database, url: &str, name: &str, troubles: &[Trouble]) {
    let (broker, _data, files) = broker(name);
    let file = files.path().join("a.toml");
    let definition =
        format!("name = 'a'\ntopics = 'a'\ntable = 't'\ncolumns.id = 'bigint'\n[database]\nurl = '{url}'\n");
    std::fs::write(&file, definition).unwrap();
    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    let mut produced = 0;
    let mut produce_more = || {
        let lines: String = (produced..produced + 100).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        produce(&broker, &files, "a", &lines);
        produced += 100;
        format!("{produced}|{produced}|{}", (0..produced).sum::<u64>())
    };
    let there = "SELECT count(*), count(DISTINCT id), sum(id) FROM t";
    let expected = produce_more();
    database.wait_for(there, |answer| answer == expected);
    for (harm, said, mend) in troubles {
        database.ask(harm);
        let expected = produce_more();
        worker.hears(said);
        database.ask(mend);
        database.wait_for(there, |answer| answer == expected);
    }
    let produced = database.ask("SELECT count(*) FROM t");
    assert_eq!(database.ask("SELECT sum(next_offset) FROM ottla_offsets"), produced);
    worker.stop();
}

#[test]
fn postgresql_goes_on_where_it_was_when_it_is_mended() {
    let Some(database) = Postgres::shared("sink_mended") else { return };
    database.ask("CREATE ROLE worker LOGIN; GRANT CREATE ON SCHEMA public TO worker");
    let url = Database::url(&database).replace("//postgres@", "//worker@");
    let troubles = [
        (
            "ALTER TABLE t RENAME TO away",
            "relation \"t\" does not exist, SQLSTATE 42P01: the table is gone: it has to come back",
            "ALTER TABLE away RENAME TO t",
        ),
        (
            "ALTER TABLE t RENAME id TO x",
            "table 't' has no column 'id': add it, or leave it out",
            "ALTER TABLE t RENAME x TO id",
        ),
        ("REVOKE INSERT ON t FROM worker", "permission denied for table t", "GRANT INSERT ON t TO worker"),
        TAKEN,
    ];
    meets(&database, &url, "sink-mended", &troubles);
}

#[test]
fn mariadb_goes_on_where_it_was_when_it_is_mended() {
    let Some(database) = MariaDb::shared("mended") else { return };
    database.ask("CREATE USER worker@'127.0.0.1'");
    for table in ["t", "ottla_offsets"] {
        database.ask(&format!(
            "GRANT CREATE, ALTER, SELECT, INSERT, UPDATE, DELETE ON mended.{table} TO worker@'127.0.0.1'"
        ));
    }
    let url = Database::url(&database).replace("ottla@", "worker@");
    let troubles = [
        ("RENAME TABLE t TO away", "Table 'mended.t' doesn't exist", "RENAME TABLE away TO t"),
        ("ALTER TABLE t RENAME COLUMN id TO x", "Unknown column 'id'", "ALTER TABLE t RENAME COLUMN x TO id"),
        (
            "REVOKE INSERT ON mended.t FROM worker@'127.0.0.1'",
            "INSERT command denied to user 'worker'",
            "GRANT INSERT ON mended.t TO worker@'127.0.0.1'",
        ),
        TAKEN,
    ];
    meets(&database, &url, "sink-mended-m", &troubles);
}

#[test]
fn sqlite_goes_on_where_it_was_when_it_is_mended() {
    let files = folder("sink-mended-s-file");
    let database = SqliteFile(files.path().join("it.db"));
    let troubles = [
        ("ALTER TABLE t RENAME TO away", "no such table: t", "ALTER TABLE away RENAME TO t"),
        ("ALTER TABLE t RENAME id TO x", "table t has no column named id", "ALTER TABLE t RENAME x TO id"),
        TAKEN,
    ];
    meets(&database, &database.url(), "sink-mended-s", &troubles);
}

#[test]
fn sqlite_goes_on_where_it_was_when_its_file_may_be_written_again() {
    let (broker, _data, files) = broker("sink-read-only");
    let database = SqliteFile(files.path().join("it.db"));
    let file = files.path().join("a.toml");
    let url = database.url();
    let definition =
        format!("name = 'a'\ntopics = 'a'\ntable = 't'\ncolumns.id = 'bigint'\n[database]\nurl = '{url}'\n");
    std::fs::write(&file, definition).unwrap();
    let lines =
        |ids: std::ops::Range<u32>| -> String { ids.map(|id| format!("{{\"id\":{id}}}\n")).collect() };
    let there = "SELECT count(*), count(DISTINCT id), sum(id) FROM t";
    produce(&broker, &files, "a", &lines(0..100));
    let worker = Worker::start(&file, &broker, Stdio::null());
    database.wait_for(there, |answer| answer == "100|100|4950");
    worker.stop();

    // What SQLite has beside the file has the file's mode.
    let may = |mode: u32| {
        let beside = ["db", "db-wal", "db-shm"].map(|extension| database.0.with_extension(extension));
        for path in beside.iter().filter(|path| path.exists()) {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    };
    may(0o444);
    produce(&broker, &files, "a", &lines(100..200));
    // Root may write anything, unless it gave that right away.
    let is_root = run(Command::new("id").arg("-u")) == "0";
    let bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    let bound = if is_root { &bound[..] } else { &[] };
    let mut run_it = by(bound, ottla(&broker, &["sink", "run"]).arg(&file));
    let mut worker = Worker::spawn(&mut run_it, Stdio::piped());
    worker.hears("attempt to write a readonly database: this user has to be let write the file");
    assert_eq!(database.ask(there), "100|100|4950");
    may(0o644);
    database.wait_for(there, |answer| answer == "200|200|19900");
    worker.stop();
}

/// A worker whose table is on a disk that is full for a while.
fn fills(database: &impl Database, disk: &SmallDisk, name: &str, said: &str) {
    let (broker, _data, files) = broker(name);
    let file = files.path().join("a.toml");
    let definition = format!(
        "name = 'a'\ntopics = 'a'\ntable = 't'\n[columns]\nid = 'bigint'\npad = 'text'\n[database]\nurl = '{}'\n",
        database.url()
    );
    std::fs::write(&file, definition).unwrap();
    let pad = "x".repeat(1_000);
    let lines = |ids: std::ops::Range<u32>| -> String {
        ids.map(|id| format!("{{\"id\":{id},\"pad\":\"{pad}\"}}\n")).collect()
    };
    let mut worker = Worker::start(&file, &broker, Stdio::piped());
    produce(&broker, &files, "a", &lines(0..10));
    database.wait_for("SELECT count(*) FROM t", |answer| answer == "10");
    disk.fill();
    produce(&broker, &files, "a", &lines(10..6_010));
    worker.hears(said);
    let apart = "SELECT (SELECT count(*) FROM t) - (SELECT sum(next_offset) FROM ottla_offsets)";
    assert_eq!(database.ask(apart), "0");
    disk.clear();
    database.wait_for("SELECT count(*), count(DISTINCT id) FROM t", |answer| answer == "6010|6010");
    assert_eq!(database.ask(apart), "0");
    worker.stop();
}

/// A folder on a small disk that belongs to the user of a server.
fn folder_of(user: &str, disk: &SmallDisk) -> String {
    let path = disk.path().join("its");
    std::fs::create_dir(&path).unwrap();
    run(Command::new("chown").arg(format!("{user}:")).arg(&path));
    path.display().to_string()
}

fn small_disk(name: &str) -> SmallDisk {
    // Not below the target folder, which the users of servers may not be able to reach.
    SmallDisk::mount(std::env::temp_dir().to_str().unwrap(), name, 32)
}

#[test]
fn postgresql_goes_on_when_its_disk_has_room_again() {
    let Some(database) = Postgres::start("sink-full") else { return };
    let disk = small_disk("sink-p");
    database.ask(&format!("CREATE TABLESPACE small LOCATION '{}'", folder_of("postgres", &disk)));
    database.ask("CREATE TABLE t (id bigint, pad text) TABLESPACE small");
    fills(&database, &disk, "sink-full", "No space left on device");
    database.kill_and_start_again();
    assert_eq!(database.ask("SELECT count(*) FROM t"), "6010");
    database.ask("DROP TABLE t");
}

#[test]
fn mariadb_goes_on_when_its_disk_has_room_again() {
    let Some(database) = MariaDb::shared("filled") else { return };
    let disk = small_disk("sink-m");
    let place = folder_of("mysql", &disk);
    database.ask(&format!("CREATE TABLE t (id BIGINT, pad TEXT) DATA DIRECTORY = '{place}'"));
    fills(&database, &disk, "sink-full-m", "The table 't' is full: it goes on when there is room");
    database.ask("DROP TABLE t");
}

#[test]
fn sqlite_goes_on_when_its_disk_has_room_again() {
    let disk = small_disk("sink-s");
    let database = SqliteFile(disk.path().join("it.db"));
    fills(&database, &disk, "sink-full-s", "database or disk is full: it goes on when there is room");
}
