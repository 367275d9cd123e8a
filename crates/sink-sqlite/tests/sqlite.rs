//! The target on real files.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this test makes and moves files of its own, and fails where it fails"
)]

use std::path::{Path, PathBuf};

use rt::Rt;
use servers::fixtures::{check_owners, numbers, schema, write};
use sink::{ColumnType, Fault, Rows, Target, Value};
use sink_sqlite::Sqlite;

/// A file's place, in a folder that is gone with the value.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> File {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        File(folder.join("it.db"))
    }

    fn target(&self, rt: &Rt) -> Sqlite {
        Sqlite::new(rt, &format!("sqlite:{}", self.0.display()), None).unwrap()
    }

    fn run(&self, statements: &str) {
        rusqlite::Connection::open(&self.0).unwrap().execute_batch(statements).unwrap();
    }

    /// The rows of an answer, columns with | between.
    fn ask(&self, statement: &str) -> String {
        let connection = rusqlite::Connection::open(&self.0).unwrap();
        let mut statement = connection.prepare(statement).unwrap();
        let width = statement.column_count();
        let shown = |row: &rusqlite::Row<'_>| {
            let values = (0..width).map(|index| match row.get(index).unwrap() {
                rusqlite::types::Value::Null => String::new(),
                rusqlite::types::Value::Integer(value) => value.to_string(),
                rusqlite::types::Value::Real(value) => format!("{value:?}"),
                rusqlite::types::Value::Text(value) => value,
                rusqlite::types::Value::Blob(_) => "blob".to_owned(),
            });
            Ok(values.collect::<Vec<_>>().join("|"))
        };
        statement.query_map([], shown).unwrap().collect::<Result<Vec<_>, _>>().unwrap().join(" ")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(self.0.parent().unwrap()));
    }
}

fn run(test: impl AsyncFnOnce(Rt)) {
    rt::os::run(|rt| test(rt)).unwrap();
}

#[test]
fn an_owner_moves_offsets_with_its_rows_and_an_older_one_moves_nothing() {
    let file = File::new("owners");
    run(async |rt| {
        check_owners(&mut file.target(&rt), &mut file.target(&rt), "t", |statement| file.ask(statement))
            .await;
    });
}

#[test]
fn values_are_kept_as_the_documentation_says() {
    let file = File::new("values");
    run(async |rt| {
        let columns: Vec<_> = ColumnType::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
        let schema = schema("t", &columns, &[], false);
        let mut target = file.target(&rt);
        assert_eq!(target.plan(&schema).await, Ok(target.create(&schema)));
        assert!(!file.0.exists(), "a plan makes nothing");
        target.prepare(&schema).await.unwrap();
        assert_eq!(target.plan(&schema).await, Ok(vec![]));
        let mut rows = Rows::new(6);
        let mut row = rows.begin();
        row.set(0, Value::Bigint(i64::MIN));
        row.set(1, Value::Double(2.0));
        row.set_text(2, "1'ä");
        row.set(3, Value::Boolean(true));
        row.set(4, Value::Timestamp(-1));
        row.set_json(5, "1.0");
        rows.begin().set(0, Value::Null);
        assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
        assert_eq!(
            file.ask("SELECT * FROM t"),
            "-9223372036854775808|2.0|1'ä|1|1969-12-31T23:59:59.999999Z|1.0 |||||"
        );
        let mut rows = Rows::new(6);
        rows.begin().set(4, Value::Timestamp(i64::MAX));
        let error = write(&mut target, &schema, rows).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{error}");
    });
}

#[test]
fn an_upsert_leaves_the_last_of_each_key_and_defaults_where_a_record_says_nothing() {
    let file = File::new("upsert");
    run(async |rt| {
        file.run("CREATE TABLE t (n INTEGER DEFAULT 7, id TEXT, m INTEGER, PRIMARY KEY (id))");
        let columns = [("id", ColumnType::Text), ("n", ColumnType::Bigint), ("m", ColumnType::Bigint)];
        let schema = schema("t", &columns, &["id"], false);
        let mut target = file.target(&rt);
        target.prepare(&schema).await.unwrap();
        let mut rows = Rows::new(3);
        for (id, n) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            let mut row = rows.begin();
            row.set_text(0, id);
            row.set(1, Value::Bigint(n));
            row.set(2, Value::Bigint(n));
        }
        assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
        assert_eq!(file.ask("SELECT id, n, m FROM t ORDER BY id"), "a|3|3 b|2|2 c|4|4");
        let mut rows = Rows::new(3);
        rows.begin().set_text(0, "b");
        let mut row = rows.begin();
        row.set_text(0, "c");
        row.set(1, Value::Null);
        let mut row = rows.begin();
        row.set_text(0, "a");
        row.delete();
        assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
        assert_eq!(file.ask("SELECT id, n, m FROM t ORDER BY id"), "b|7| c||");
    });
}

#[test]
fn of_many_rows_all_are_written_or_none() {
    let file = File::new("many");
    run(async |rt| {
        file.run("CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id <> 1000), n INTEGER)");
        let columns = [("id", ColumnType::Bigint), ("n", ColumnType::Bigint)];
        let schema = schema("t", &columns, &["id"], false);
        let mut target = file.target(&rt);
        target.prepare(&schema).await.unwrap();
        let made = |ids: std::ops::Range<i64>| {
            let mut rows = Rows::new(2);
            for id in ids {
                let mut row = rows.begin();
                row.set(0, Value::Bigint(id));
                row.set(1, Value::Bigint(2 * id));
            }
            rows
        };
        let told = "SELECT count(*), sum(id), sum(n) FROM t";
        let mut next = 0;
        for count in [1, 63, 64, 65, 200] {
            assert_eq!(write(&mut target, &schema, made(next..next + count)).await, Ok(true));
            next += count;
            let sum = next * (next - 1) / 2;
            assert_eq!(file.ask(told), format!("{next}|{sum}|{}", 2 * sum));
        }
        let before = file.ask(told);
        let error = write(&mut target, &schema, made(900..1100)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{error}");
        assert_eq!(file.ask(told), before);
    });
}

#[test]
fn a_table_that_is_there_grows_and_is_written_in_its_types() {
    let file = File::new("grows");
    run(async |rt| {
        file.run("CREATE TABLE t (Id INTEGER, at DATETIME); INSERT INTO t VALUES (1, 'x')");
        let columns = [("id", ColumnType::Double), ("at", ColumnType::Text), ("b", ColumnType::Json)];
        let wanted = schema("t", &columns, &[], true);
        let mut target = file.target(&rt);
        let planned = target.plan(&wanted).await.unwrap();
        assert_eq!(planned[1..], ["ALTER TABLE \"t\" ADD COLUMN \"b\" JSON TEXT"], "{planned:?}");
        let taken = target.prepare(&wanted).await.unwrap();
        let kinds: Vec<_> = taken.columns.iter().map(|column| column.kind).collect();
        assert_eq!(kinds, [ColumnType::Bigint, ColumnType::Timestamp, ColumnType::Json]);
        assert_eq!(write(&mut target, &taken, numbers(2..3, 3)).await, Ok(true));
        assert_eq!(file.ask("SELECT * FROM t"), "1|x| 2||");
    });
}

#[test]
fn what_does_not_fit_is_said_with_what_to_do() {
    let file = File::new("misfits");
    run(async |rt| {
        let refused = async |table: &str, key: &[&str], expected: &str| {
            file.run(&format!("DROP TABLE IF EXISTS t; {table}"));
            let schema = schema("t", &[("id", ColumnType::Bigint)], key, false);
            let error = file.target(&rt).prepare(&schema).await.unwrap_err();
            assert!(error.message.contains(expected) && error.fault == Fault::Lasting, "{error:?}");
        };
        refused(
            "CREATE TABLE t (id TEXT)",
            &[],
            "'id' of table 't' is TEXT, which does not keep bigint as it is",
        )
        .await;
        refused("CREATE TABLE t (id INTEGER, x INTEGER NOT NULL)", &[], "'x' of table 't' is NOT NULL").await;
        let index = "CREATE UNIQUE INDEX \"ottla_key\" ON \"t\" (\"id\")";
        refused("CREATE TABLE t (id INTEGER, x INTEGER, UNIQUE (id, x))", &["id"], index).await;
        refused("CREATE TABLE t (id INTEGER); CREATE UNIQUE INDEX i ON t (id) WHERE id < 9", &["id"], index)
            .await;
        file.run(&format!("DROP INDEX i; {index}"));
        file.target(&rt).prepare(&schema("t", &[("id", ColumnType::Bigint)], &["id"], false)).await.unwrap();
        let url = "sqlite:/nowhere/it.db";
        let mut nowhere = Sqlite::new(&rt, url, None).unwrap();
        let error =
            nowhere.prepare(&schema("t", &[("id", ColumnType::Bigint)], &[], false)).await.unwrap_err();
        assert!(error.message.contains("its folder has to be there"), "{error}");
        assert!(Sqlite::new(&rt, "sqlite:", None).is_err() && Sqlite::new(&rt, url, Some("x")).is_err());
    });
}

#[test]
fn what_is_gone_is_not_made_anew() {
    let file = File::new("gone");
    run(async |rt| {
        let schema = schema("t", &[("id", ColumnType::Bigint)], &[], false);
        let mut target = file.target(&rt);
        target.prepare(&schema).await.unwrap();
        assert_eq!(write(&mut target, &schema, numbers(0..1, 1)).await, Ok(true));
        let moved = file.0.with_extension("moved");
        std::fs::rename(&file.0, &moved).unwrap();
        let error = write(&mut target, &schema, numbers(1..2, 1)).await.unwrap_err();
        assert!(error.message.contains("unable to open"), "{error}");
        std::fs::rename(&moved, &file.0).unwrap();
        assert_eq!(write(&mut target, &schema, numbers(1..2, 1)).await, Ok(true));
        assert_eq!(file.ask("SELECT id FROM t"), "0 1");
        file.run("DROP TABLE t");
        let error = write(&mut target, &schema, numbers(2..3, 1)).await.unwrap_err();
        assert!(error.message.contains("no such table: t") && error.fault == Fault::Lasting, "{error:?}");
        let error = target.prepare(&schema).await.unwrap_err();
        assert!(error.message.contains("the table 't' is gone"), "{error}");
    });
}
