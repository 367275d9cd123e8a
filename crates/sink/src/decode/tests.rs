//! Records and what becomes of them.

use super::*;

fn schema(columns: &str) -> Schema {
    let columns = columns.split_whitespace().map(|column| {
        let (path, kind) = column.split_once(':').expect("PATH:TYPE");
        let required = kind.ends_with('!');
        let kind = ColumnType::named(kind.trim_end_matches('!')).expect("a type");
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        Column { name: path.join("_"), path, kind, required }
    });
    Schema { table: "t".to_owned(), columns: columns.collect() }
}

/// What becomes of a record: its row, `left out`, or why it is refused. Whatever happens, a row before it stays as it is.
fn row(columns: &str, condition: &str, record: &str) -> String {
    let condition = match condition {
        "" => Condition::default(),
        text => Condition::parse(text).expect("a condition"),
    };
    let schema = schema(columns);
    let mut decoder = Decoder::new(&schema, &condition);
    let mut rows = Rows::new(schema.columns.len());
    rows.begin().set_text(0, "before");
    let before = rows.clone();
    match decoder.decode(record.as_bytes(), &mut rows) {
        Ok(true) => {
            let values = rows.iter().nth(1).expect("the row");
            let shown = values.iter().map(|value| match value {
                Value::Null => "null".to_owned(),
                Value::Boolean(value) => value.to_string(),
                Value::Bigint(value) => value.to_string(),
                Value::Double(value) => format!("{value:?}"),
                Value::Timestamp(value) => format!("{value}us"),
                Value::Text(at) => format!("'{}'", rows.text(at)),
                Value::Json(at) => format!("`{}`", rows.text(at)),
            });
            shown.collect::<Vec<_>>().join(" ")
        }
        Ok(false) => {
            assert_eq!(rows, before, "D3");
            "left out".to_owned()
        }
        Err(error) => {
            assert_eq!(rows, before, "D3");
            error.to_string()
        }
    }
}

#[track_caller]
fn check(columns: &str, record: &str, expected: &str) {
    assert_eq!(row(columns, "", record), expected);
}

#[test]
fn fields_are_found_by_their_paths_whatever_their_order() {
    check("a:bigint b.c:text", r#"{"x":[1,{"a":2}],"b":{"y":0,"c":"z"},"a":7}"#, "7 'z'");
    check("b:json b.c:bigint", r#"{"b": {"c": 1} }"#, r#"`{"c": 1}` 1"#);
    check("a:bigint b.c:text", r#"{"b":3}"#, "null null");
    check("a:bigint", r#"{"a":1,"a":2}"#, "2");
}

#[test]
fn each_type_takes_what_it_can_hold() {
    check("a:bigint", r#"{"a":-9223372036854775808}"#, "-9223372036854775808");
    check("a:double b:double", r#"{"a":1,"b":2.5e3}"#, "1.0 2500.0");
    check("a:boolean b:boolean", r#"{"a":true,"b":null}"#, "true null");
    check("a:text b:text c:text", r#"{"a":"ö\n\"","b":1.50,"c":true}"#, "'ö\n\"' '1.50' 'true'");
    check(
        "a:timestamp b:timestamp",
        r#"{"a":1700000000000,"b":"1970-01-01T00:00:01.5Z"}"#,
        "1700000000000000us 1500000us",
    );
    check("a:json b:json", r#"{"a":[1, 2],"b":"x"}"#, r#"`[1, 2]` `"x"`"#);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    check("a:bigint", r#"{"a":1.5}"#, "'a' is 1.5, which is no bigint");
    check("a:bigint", r#"{"a":9223372036854775808}"#, "'a' is 9223372036854775808, which is no bigint");
    check("a.b:boolean", r#"{"a":{"b":1}}"#, "'a.b' is 1, which is no boolean");
    check("a:double", r#"{"a":1e999}"#, "'a' is 1e999, which is no double");
    check("a:text", r#"{"a":{}}"#, "'a' is {}, which is no text");
    check("a:text", r#"{"a":"\u0000"}"#, r#"'a' is "\u0000", which is no text"#);
    check("a:timestamp", r#"{"a":"noon"}"#, r#"'a' is "noon", which is no timestamp"#);
    check("a:bigint!", "{}", "'a' is missing, and required");
    check("a:bigint!", r#"{"a":null}"#, "'a' is missing, and required");
}

#[test]
fn what_is_no_object_is_refused() {
    for record in ["", "1", "[]", "{", r#"{"a":1}}"#, "{'a':1}", "{\"a\":1,}", "{\"b\":\"\u{1}\"}"] {
        assert!(row("a:bigint", "", record).starts_with("no JSON object: "), "{record}");
    }
}

#[test]
fn a_condition_leaves_records_out_before_they_are_judged() {
    assert_eq!(row("a:bigint", "kind = 'ride' and a > 1", r#"{"a":2,"kind":"ride"}"#), "2");
    assert_eq!(row("a:bigint", "kind = 'ride'", r#"{"a":"no number","kind":"stop"}"#), "left out");
    assert_eq!(row("a:bigint", "kind = 'ride'", r#"{"a":1}"#), "left out");
    assert_eq!(row("a:bigint", "b.c != 1", r#"{"a":1,"b":{"c":1}}"#), "left out");
}
