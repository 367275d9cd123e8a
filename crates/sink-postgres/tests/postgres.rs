//! The target on a real server.

#![allow(clippy::unwrap_used, reason = "it fails where it fails")]

use rt::Rt;
use servers::Postgres as Server;
use servers::fixtures::{check_owners, schema, write};
use sink::{ColumnType, Fault, Rows, Schema, Target, Value};
use sink_postgres::Postgres;

/// As many rows as are copied, and as few as go as arrays.
const MANY: i64 = 1_000;
const FEW: i64 = 10;

fn run(name: &str, test: impl AsyncFnOnce(&Rt, &Server)) {
    let Some(server) = Server::shared(name) else { return };
    rt::os::run(|rt| async move { test(&rt, &server).await }).unwrap();
}

fn target(rt: &Rt, server: &Server) -> Postgres {
    Postgres::new(rt, &server.url(), None).unwrap()
}

/// A row of JSON values, by their types.
fn put(rows: &mut Rows, schema: &Schema, values: &[&str]) {
    let mut row = rows.begin();
    for (index, (column, value)) in schema.columns.iter().zip(values).enumerate() {
        match (column.kind, *value) {
            (_, "-") => {}
            (_, "null") => row.set(index, Value::Null),
            (ColumnType::Bigint, value) => row.set(index, Value::Bigint(value.parse().unwrap())),
            (ColumnType::Double, value) => row.set(index, Value::Double(value.parse().unwrap())),
            (ColumnType::Boolean, value) => row.set(index, Value::Boolean(value == "true")),
            (ColumnType::Timestamp, value) => {
                row.set(index, Value::Timestamp(model::time::parse_date_time_us(value).unwrap()));
            }
            (ColumnType::Text, value) => row.set_text(index, value),
            (ColumnType::Json, value) => row.set_json(index, value),
        }
    }
}

fn rows_of(schema: &Schema, values: &[&str], count: i64) -> Rows {
    let mut rows = Rows::new(schema.columns.len());
    (0..count).for_each(|_| put(&mut rows, schema, values));
    rows
}

#[test]
fn an_owner_moves_offsets_with_its_rows_and_an_older_one_moves_nothing() {
    run("owners", async |rt, server| {
        let ask = |statement: &str| server.ask(statement);
        check_owners(&mut target(rt, server), &mut target(rt, server), "t", ask).await;
    });
}

#[test]
fn every_type_is_written_as_it_is_whatever_the_way() {
    run("types", async |rt, server| {
        let columns: Vec<_> = ColumnType::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
        let schema = schema("t", &columns, &[], false);
        let mut target = target(rt, server);
        assert_eq!(target.plan(&schema).await.unwrap(), target.create(&schema));
        assert_eq!(server.ask("SELECT to_regclass('t') IS NULL"), "t", "a plan makes nothing");
        target.prepare(&schema).await.unwrap();
        assert_eq!(target.plan(&schema).await, Ok(vec![]));
        let values = [
            "-9223372036854775808",
            "1e-300",
            "a'ö\\",
            "true",
            "1969-12-31T23:59:59.999999Z",
            "{\"a\": 1.50}",
        ];
        for count in [FEW, MANY] {
            assert_eq!(write(&mut target, &schema, rows_of(&schema, &values, count)).await, Ok(true));
            assert_eq!(write(&mut target, &schema, rows_of(&schema, &["null"; 6], count)).await, Ok(true));
        }
        assert_eq!(
            server
                .ask("SET timezone = 'UTC'; SELECT *, count(*) FROM t GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1"),
            "-9223372036854775808|1e-300|a'ö\\|t|1969-12-31 23:59:59.999999+00|{\"a\": 1.50}|1010\n||||||1010"
        );
    });
}

#[test]
fn an_upsert_leaves_the_last_of_each_key_and_deletes() {
    run("upsert", async |rt, server| {
        server.ask("CREATE TABLE t (n bigint DEFAULT 7, id text, m bigint, at integer, UNIQUE (at, id))");
        let kinds = [
            ("id", ColumnType::Text),
            ("n", ColumnType::Bigint),
            ("m", ColumnType::Bigint),
            ("at", ColumnType::Bigint),
        ];
        let schema = schema("t", &kinds, &["id", "at"], false);
        let mut target = target(rt, server);
        target.prepare(&schema).await.unwrap();
        for count in [FEW, MANY] {
            server.ask("TRUNCATE t");
            let mut rows = Rows::new(4);
            for turn in ["1", "2"] {
                (0..count).for_each(|id| put(&mut rows, &schema, &[&id.to_string(), turn, turn, "5"]));
            }
            assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
            let sums = "SELECT count(*), sum(n), sum(m), sum(id::int) FROM t";
            let ids = count * (count - 1) / 2;
            assert_eq!(server.ask(sums), format!("{count}|{}|{}|{ids}", 2 * count, 2 * count));
            // The first is to go, the second has no n and so its DEFAULT, the third no n at all.
            let mut rows = Rows::new(4);
            (1..count).for_each(|id| put(&mut rows, &schema, &[&id.to_string(), "-", "3", "5"]));
            put(&mut rows, &schema, &["2", "null", "3", "5"]);
            let mut row = rows.begin();
            row.set_text(0, "0");
            row.set(3, Value::Bigint(5));
            row.delete();
            assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
            assert_eq!(
                server.ask(&format!("{sums}; SELECT n, m FROM t WHERE id = '2'")),
                format!("{}|{}|{}|{ids}\n|3", count - 1, 7 * (count - 2), 3 * (count - 1))
            );
        }
        // Where a row is nothing but its key, it is only there or not.
        server.ask("DROP TABLE t");
        let schema = servers::fixtures::schema("t", &kinds[..1], &["id"], false);
        let mut target = crate::target(rt, server);
        target.prepare(&schema).await.unwrap();
        for _ in 0..2 {
            assert_eq!(write(&mut target, &schema, rows_of(&schema, &["x"], FEW)).await, Ok(true));
        }
        assert_eq!(server.ask("SELECT * FROM t"), "x");
    });
}

#[test]
fn an_upsert_is_the_same_whether_its_keys_are_new_or_not() {
    run("newness", async |rt, server| {
        server.ask("CREATE TABLE t (id bigint PRIMARY KEY, n bigint, other bigint UNIQUE)");
        let kinds = ["id", "n", "other"].map(|name| (name, ColumnType::Bigint));
        let schema = schema("t", &kinds, &["id"], false);
        let mut target = target(rt, server);
        target.prepare(&schema).await.unwrap();
        // None is there, half of them are, all are, none is: each batch begins a thousand keys or half as many later.
        for (turn, first, expected) in
            [(1, 0, "1000|1000"), (2, 500, "1500|2500"), (3, 500, "1500|3500"), (4, 1_500, "2500|7500")]
        {
            let mut rows = Rows::new(3);
            for id in first..first + MANY {
                put(&mut rows, &schema, &[&id.to_string(), &turn.to_string(), &id.to_string()]);
            }
            assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
            assert_eq!(server.ask("SELECT count(*), sum(n) FROM t"), expected, "turn {turn}");
        }
        // Another index's refusal stays one.
        let mut rows = Rows::new(3);
        (10_000..10_000 + MANY).for_each(|id| put(&mut rows, &schema, &[&id.to_string(), "5", "7"]));
        let refused = write(&mut target, &schema, rows).await.unwrap_err();
        assert_eq!((refused.fault, refused.code.as_deref()), (Fault::Refused, Some("23505")), "{refused}");
        assert_eq!(server.ask("SELECT count(*), sum(n) FROM t"), "2500|7500");
    });
}

#[test]
fn a_table_that_is_there_is_written_in_its_types_and_nothing_is_changed_silently() {
    run("casts", async |rt, server| {
        server.ask(
            "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN small AS integer CHECK (VALUE < 100); \
             CREATE TABLE t (i integer, p numeric(6,2), f real, v varchar(3), u uuid, d date, s timestamp(0), j json, \
             m mood, w small, made timestamptz NOT NULL DEFAULT now())",
        );
        // As the first records tell them.
        let kinds = [
            ("i", ColumnType::Double),
            ("p", ColumnType::Double),
            ("f", ColumnType::Double),
            ("v", ColumnType::Text),
            ("u", ColumnType::Text),
            ("d", ColumnType::Timestamp),
            ("s", ColumnType::Timestamp),
            ("j", ColumnType::Json),
            ("m", ColumnType::Text),
            ("w", ColumnType::Bigint),
            ("x", ColumnType::Boolean),
        ];
        let inferred = schema("t", &kinds, &[], true);
        let mut target = target(rt, server);
        assert_eq!(
            target.plan(&inferred).await.unwrap()[0],
            "ALTER TABLE \"t\" ADD COLUMN IF NOT EXISTS \"x\" boolean"
        );
        let schema = target.prepare(&inferred).await.unwrap();
        let good = [
            "7",
            "1234.5",
            "0.1",
            "abc",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "2026-01-31",
            "2026-01-31T12:00:01Z",
            "{\"b\":1, \"b\":2}",
            "happy",
            "99",
            "true",
        ];
        for count in [FEW, MANY] {
            server.ask("TRUNCATE t");
            assert_eq!(write(&mut target, &schema, rows_of(&schema, &good, count)).await, Ok(true));
            let all = "SELECT i, p, f, v, u, d, s, j, m, w, x, count(made) FROM t GROUP BY i, p, f, v, u, d, s, j::text, m, w, x";
            let all = all.replace("s, j,", "s, j::text,");
            assert_eq!(
                server.ask(&all),
                format!(
                    "7|1234.50|0.1|abc|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|2026-01-31|2026-01-31 12:00:01|\
                     {{\"b\":1, \"b\":2}}|happy|99|t|{count}"
                )
            );
            let bad = [
                (0, "2147483648", "integer out of range"),
                (1, "1.005", "1.005 would be changed"),
                (1, "12345", "numeric field overflow"),
                (2, "0.123456789", "0.123456789 would be changed"),
                (3, "abcd", "value too long for type character varying(3)"),
                (4, "abc", "invalid input syntax for type uuid"),
                (5, "2026-01-31T12:00:00Z", "would be changed"),
                (6, "2026-01-31T12:00:00.5Z", "would be changed"),
                (8, "glad", "invalid input value for enum mood"),
                (9, "100", "violates check constraint"),
            ];
            for (column, value, expected) in bad {
                let mut values = good;
                values[column] = value;
                let mut rows = rows_of(&schema, &good, count);
                put(&mut rows, &schema, &values);
                let error = write(&mut target, &schema, rows).await.unwrap_err();
                assert!(error.message.contains(expected) && error.fault == Fault::Refused, "{error:?}");
            }
            assert_eq!(server.ask("SELECT count(*) FROM t"), count.to_string());
        }
    });
}

#[test]
fn what_does_not_fit_is_said_with_what_to_do() {
    run("misfits", async |rt, server| {
        let refused = async |table: &str, key: &[&str], expected: &str| {
            server.ask(&format!("DROP TABLE IF EXISTS t; {table}"));
            let schema = schema("t", &[("id", ColumnType::Bigint)], key, false);
            let error = target(rt, server).prepare(&schema).await.unwrap_err();
            assert!(error.message.contains(expected) && error.fault == Fault::Lasting, "{error:?}");
        };
        refused(
            "CREATE TABLE t (id text)",
            &[],
            "'id' of table 't' is text, which does not hold every bigint",
        )
        .await;
        refused("CREATE TABLE t (id bigint, x int NOT NULL)", &[], "'x' of table 't' is NOT NULL").await;
        let add = "ALTER TABLE \"t\" ADD UNIQUE (\"id\")";
        refused("CREATE TABLE t (id bigint, x int, UNIQUE (id, x))", &["id"], add).await;
        refused("CREATE TABLE t (id bigint); CREATE UNIQUE INDEX ON t (id) WHERE id < 9", &["id"], add).await;
        let generated = "CREATE TABLE t (id bigint GENERATED ALWAYS AS (7) STORED)";
        refused(generated, &[], "is generated: leave it out").await;
        server.ask(&format!("DROP TABLE t; CREATE TABLE t (id bigint); {add}"));
        target(rt, server)
            .prepare(&schema("t", &[("id", ColumnType::Bigint)], &["id"], false))
            .await
            .unwrap();
    });
}

#[test]
fn a_table_that_changes_under_a_sink_refuses_no_records() {
    run("changes", async |rt, server| {
        let schema = schema("t", &[("id", ColumnType::Bigint)], &[], false);
        let mut target = target(rt, server);
        target.prepare(&schema).await.unwrap();
        let rows = || rows_of(&schema, &["5"], MANY);
        assert_eq!(write(&mut target, &schema, rows()).await, Ok(true));
        server.ask("ALTER TABLE t ALTER id TYPE integer");
        let error = write(&mut target, &schema, rows()).await.unwrap_err();
        assert!(
            error.fault == Fault::Passing && error.message.ends_with("(the table was changed)"),
            "{error:?}"
        );
        assert_eq!(write(&mut target, &schema, rows()).await, Ok(true));
        server.ask("ALTER TABLE t RENAME TO moved");
        let error = write(&mut target, &schema, rows()).await.unwrap_err();
        assert!(
            error.fault == Fault::Lasting && error.message.contains("42P01: the table is gone"),
            "{error:?}"
        );
        let error = target.prepare(&schema).await.unwrap_err();
        assert!(error.message.contains("'t': the table is gone"), "{error}");
        server.ask("ALTER TABLE moved RENAME TO t");
        assert_eq!(write(&mut target, &schema, rows()).await, Ok(true));
        assert_eq!(server.ask("SELECT count(*), sum(id) FROM t"), format!("{}|{}", 3 * MANY, 15 * MANY));
    });
}

#[test]
fn a_server_is_found_by_its_socket_too() {
    run("socket", async |rt, server| {
        let folder = server.folder().display().to_string().replace('/', "%2F");
        let url = format!("postgres://postgres@{folder}:{}/postgres", server.port());
        let schema = schema("t", &[("id", ColumnType::Bigint)], &[], false);
        let mut target = Postgres::new(rt, &url, None).unwrap();
        target.prepare(&schema).await.unwrap();
        assert_eq!(write(&mut target, &schema, rows_of(&schema, &["5"], MANY)).await, Ok(true));
        let url = format!("postgres:///postgres?user=postgres&host=/nowhere&port={}", server.port());
        let error = Postgres::new(rt, &url, None).unwrap().prepare(&schema).await.unwrap_err();
        assert!(error.fault == Fault::Passing && error.message.contains("/nowhere"), "{error:?}");
    });
}
