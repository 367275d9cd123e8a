//! The target on a real MariaDB.

#![allow(clippy::unwrap_used, reason = "this test fails where something fails")]

use rt::Rt;
use servers::MariaDb;
use servers::fixtures::{check_owners, numbers, schema, write};
use sink::{ColumnType, Fault, Rows, Target, Value};
use sink_mysql::Mysql;

fn target(server: &MariaDb, rt: &Rt) -> Mysql {
    Mysql::new(rt, &server.url(), None).unwrap()
}

/// One server for all of it, as it takes seconds to start.
#[test]
fn a_server_keeps_what_it_is_given() {
    let Some(server) = MariaDb::start("sink-mysql") else { return };
    rt::os::run(|rt| async move {
        owners(&server, &rt).await;
        values(&server, &rt).await;
        upserts(&server, &rt).await;
        packets(&server, &rt).await;
        tables_that_are_there(&server, &rt).await;
        misfits(&server, &rt).await;
        what_is_gone(&server, &rt).await;
        faults(&server, &rt).await;
    })
    .unwrap();
}

/// An owner moves offsets with its rows, and an older one moves nothing.
async fn owners(server: &MariaDb, rt: &Rt) {
    let schema = schema("owners", &[("id", ColumnType::Bigint)], &[], false);
    let (mut one, mut other) = (target(server, rt), target(server, rt));
    assert_eq!(one.plan(&schema).await, Ok(one.create(&schema)));
    let (first, second) = futures_util::future::join(one.prepare(&schema), other.prepare(&schema)).await;
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(one.plan(&schema).await, Ok(vec![]));
    check_owners(&mut one, &mut other, "owners", |statement| server.ask(statement)).await;
}

async fn values(server: &MariaDb, rt: &Rt) {
    let columns: Vec<_> = ColumnType::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
    let schema = schema("kept", &columns, &[], false);
    let mut target = target(server, rt);
    target.prepare(&schema).await.unwrap();
    let mut rows = Rows::new(6);
    let mut row = rows.begin();
    row.set(0, Value::Bigint(i64::MIN));
    row.set(1, Value::Double(1e300));
    row.set_text(2, "1'ä\\ '");
    row.set(3, Value::Boolean(true));
    row.set(4, Value::Timestamp(1));
    row.set_json(5, "{\"a\": \"b\\n'\"}");
    rows.begin().set(0, Value::Null);
    assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
    assert_eq!(
        server.ask("SELECT * FROM kept"),
        "-9223372036854775808|1e300|1'ä\\\\ '|1|1970-01-01 00:00:00.000001|{\"a\": \"b\\\\n'\"}\n\
         NULL|NULL|NULL|NULL|NULL|NULL"
    );
}

/// The last of each key is there, and the DEFAULT where a record says nothing.
async fn upserts(server: &MariaDb, rt: &Rt) {
    let columns = [("id", ColumnType::Text), ("n", ColumnType::Bigint), ("m", ColumnType::Bigint)];
    let schema = schema("upserts", &columns, &["id"], false);
    let mut target = target(server, rt);
    target.prepare(&schema).await.unwrap();
    server.ask("ALTER TABLE upserts ALTER n SET DEFAULT 7");
    let mut rows = Rows::new(3);
    for (id, n) in [("a", 1), ("A", 2), ("a", 3), ("c", 4)] {
        let mut row = rows.begin();
        row.set_text(0, id);
        row.set(1, Value::Bigint(n));
        row.set(2, Value::Bigint(n));
    }
    assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
    assert_eq!(server.ask("SELECT * FROM upserts ORDER BY id"), "A|2|2\na|3|3\nc|4|4");
    let mut rows = Rows::new(3);
    rows.begin().set_text(0, "A");
    let mut row = rows.begin();
    row.set_text(0, "c");
    row.set(1, Value::Null);
    let mut row = rows.begin();
    row.set_text(0, "a");
    row.delete();
    assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
    assert_eq!(server.ask("SELECT * FROM upserts ORDER BY id"), "A|7|NULL\nc|NULL|NULL");
    let mut rows = Rows::new(3);
    rows.begin().set_text(0, "c ");
    let error = write(&mut target, &schema, rows).await.unwrap_err();
    assert!(error.message.contains("column 'id': 'c ' ends in a space"), "{error}");
    assert_eq!(error.fault, Fault::Refused);
}

/// Statements are as long as the server takes, and a row that is longer is refused.
async fn packets(server: &MariaDb, rt: &Rt) {
    server.ask("SET GLOBAL max_allowed_packet = 65536");
    let schema = schema("packets", &[("id", ColumnType::Bigint), ("t", ColumnType::Text)], &[], false);
    let mut target = target(server, rt);
    target.prepare(&schema).await.unwrap();
    let mut rows = Rows::new(2);
    for (id, length) in [60_000, 1, 3, 65_000, 30_000, 35_000, 40_000].into_iter().enumerate() {
        let mut row = rows.begin();
        row.set(0, Value::Bigint(id.try_into().unwrap()));
        row.set_text(1, &"x".repeat(length));
    }
    assert_eq!(write(&mut target, &schema, rows).await, Ok(true));
    assert_eq!(server.ask("SELECT count(*), sum(id), sum(length(t)) FROM packets"), "7|21|230004");
    let mut rows = Rows::new(2);
    rows.begin().set_text(1, &"x".repeat(66_000));
    let error = write(&mut target, &schema, rows).await.unwrap_err();
    assert!(error.fault == Fault::Refused && error.message.contains("max_allowed_packet 65536"), "{error:?}");
    server.ask("SET GLOBAL max_allowed_packet = DEFAULT");
}

async fn tables_that_are_there(server: &MariaDb, rt: &Rt) {
    server.ask(
        "CREATE TABLE there (Id INT, price DECIMAL(10,2), at DATETIME, tags JSON, ok TINYINT(1)); \
         INSERT INTO there (Id) VALUES (1)",
    );
    let columns = [
        ("id", ColumnType::Double),
        ("price", ColumnType::Double),
        ("at", ColumnType::Text),
        ("tags", ColumnType::Text),
        ("ok", ColumnType::Bigint),
        ("more", ColumnType::Text),
    ];
    let wanted = schema("there", &columns, &[], true);
    let mut target = target(server, rt);
    let planned = target.plan(&wanted).await.unwrap();
    assert_eq!(planned, ["ALTER TABLE `there` ADD COLUMN `more` LONGTEXT CHARACTER SET utf8mb4"]);
    let taken = target.prepare(&wanted).await.unwrap();
    let kinds: Vec<_> = taken.columns.iter().map(|column| column.kind).collect();
    use ColumnType::{Bigint, Boolean, Double, Json, Text, Timestamp};
    assert_eq!(kinds, [Bigint, Double, Timestamp, Json, Boolean, Text]);
    let mut rows = Rows::new(6);
    let mut row = rows.begin();
    row.set(1, Value::Double(12.25));
    row.set(2, Value::Timestamp(1_000_000));
    assert_eq!(write(&mut target, &taken, rows).await, Ok(true));
    assert_eq!(server.ask("SELECT price, at FROM there WHERE id IS NULL"), "12.25|1970-01-01 00:00:01");
    let mut refused = async |column: usize, value: Value, expected: &str| {
        let mut rows = Rows::new(6);
        rows.begin().set(column, value);
        let error = write(&mut target, &taken, rows).await.unwrap_err();
        assert!(error.fault == Fault::Refused && error.message.contains(expected), "{error:?}");
    };
    refused(0, Value::Bigint(1 << 40), "Out of range value for column 'Id'").await;
    refused(1, Value::Double(12.255), "column 'price': 12.255 has more than the column's 2 digits").await;
    refused(2, Value::Timestamp(1_000_001), "more than the column's 0 digits of a second").await;
    assert_eq!(server.ask("SELECT count(*) FROM there"), "2");
}

/// What does not fit is said, with what to do.
async fn misfits(server: &MariaDb, rt: &Rt) {
    let refused = async |table: &str, key: &[&str], expected: &str| {
        server.ask(&format!("DROP TABLE IF EXISTS misfit; CREATE TABLE misfit {table}"));
        let schema = schema("misfit", &[("id", ColumnType::Text)], key, false);
        let error = target(server, rt).prepare(&schema).await.unwrap_err();
        assert!(error.message.contains(expected) && error.fault == Fault::Lasting, "{error:?}");
    };
    refused("(id INT)", &[], "column 'id' of table 'misfit' is int(11), which does not keep text as it is")
        .await;
    refused("(id TEXT, x INT NOT NULL)", &[], "'x' of table 'misfit' is NOT NULL without a DEFAULT").await;
    refused("(id TEXT) ENGINE = MyISAM", &[], "ALTER TABLE `misfit` ENGINE = InnoDB").await;
    let key = "(id VARCHAR(9) COLLATE utf8mb4_bin, x INT";
    refused(&format!("{key})"), &["id"], "CREATE UNIQUE INDEX `ottla_key` ON `misfit` (`id`)").await;
    refused(&format!("{key}, UNIQUE (id(3)))"), &["id"], "no unique index on exactly the key").await;
    refused(&format!("{key}, UNIQUE (id), UNIQUE (x))"), &["id"], "has another unique index, 'x'").await;
    refused(
        "(id VARCHAR(9) CHARACTER SET utf8mb4, UNIQUE (id))",
        &["id"],
        "MODIFY `id` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
    )
    .await;
}

async fn what_is_gone(server: &MariaDb, rt: &Rt) {
    let schema = schema("gone", &[("id", ColumnType::Bigint)], &[], false);
    let mut target = target(server, rt);
    target.prepare(&schema).await.unwrap();
    server.ask("DROP TABLE gone");
    let error = write(&mut target, &schema, numbers(0..1, 1)).await.unwrap_err();
    assert!(error.message.contains("'ottla.gone' doesn't exist: it has to come back"), "{error}");
    assert_eq!((error.fault, error.code.as_deref()), (Fault::Lasting, Some("42S02")));
    let error = target.prepare(&schema).await.unwrap_err();
    assert!(error.message.contains("the table 'gone' is gone"), "{error}");
}

/// Whose fault it is decides what helps.
async fn faults(server: &MariaDb, rt: &Rt) {
    let schema = schema("faults", &[("id", ColumnType::Bigint)], &[], false);
    let mut prepared = target(server, rt);
    prepared.prepare(&schema).await.unwrap();
    server.ask("CREATE USER known@'127.0.0.1' IDENTIFIED BY 'x'");
    let prepare = async |url: &str, password: Option<&str>| {
        Mysql::new(rt, url, password).unwrap().prepare(&schema).await.unwrap_err()
    };
    let url = server.url().replace("ottla@", "known@");
    let error = prepare(&url, Some("y")).await;
    assert!(error.message.contains("Access denied for user 'known'@'127.0.0.1'"), "{error}");
    assert_eq!((error.fault, error.code.as_deref()), (Fault::Lasting, Some("28000")));
    server.ask("GRANT SELECT ON ottla.* TO known@'127.0.0.1'");
    server.ask("DROP TABLE faults");
    let error = prepare(&url, Some("x")).await;
    assert!(
        error.message.contains("command denied to user") && error.message.contains("GRANT it"),
        "{error}"
    );
    let error = prepare(&format!("{}_no", server.url()), None).await;
    assert!(error.message.contains("Unknown database 'ottla_no': CREATE DATABASE makes it"), "{error}");
    let error = prepare("mysql://ottla@127.0.0.1:1/ottla", None).await;
    assert_eq!(error.fault, Fault::Passing, "{error}");

    // A session that was ended costs one try.
    prepared = target(server, rt);
    prepared.prepare(&schema).await.unwrap();
    server.ask("SELECT GROUP_CONCAT(id) INTO @ids FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = 'ottla'; \
         EXECUTE IMMEDIATE CONCAT('KILL ', @ids)");
    let error = write(&mut prepared, &schema, numbers(0..1, 1)).await.unwrap_err();
    assert_eq!(error.fault, Fault::Passing, "{error}");
    assert_eq!(write(&mut prepared, &schema, numbers(0..1, 1)).await, Ok(true));
    for url in ["mysql://h:1/d", "mysql://u@h:1", "mysql://u:p@h/d", "mysql://u@h/d?require_ssl=true"] {
        assert!(Mysql::new(rt, url, None).is_err(), "{url}");
    }
}
