//! Records and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::rows::Rows;

fn schema(columns: &str) -> Schema {
    let columns = columns.split_whitespace().map(|column| {
        let (path, kind) = column.split_once(':').expect("PATH:TYPE");
        let required = kind.ends_with('!');
        let kind = ColumnType::named(kind.trim_end_matches('!')).expect("a type");
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        Column { name: path.join("_"), source: Source::Field(path), kind, required }
    });
    Schema::new("t", columns.collect(), &[], false).expect("a table")
}

/// What becomes of a record: its row, `left out`, or why it is refused.
fn row(columns: &str, condition: &str, record: &str) -> String {
    let condition = match condition {
        "" => Condition::default(),
        text => Condition::parse(text).expect("a condition"),
    };
    let schema = schema(columns);
    let mut decoder = Decoder::new(&schema, &condition);
    let mut rows = Rows::new(schema.columns.len());
    match decoder.decode(record.as_bytes(), &mut rows.begin()) {
        Ok(true) => {
            let values = rows.iter().next().expect("the row");
            let shown = values.iter().map(|value| match value {
                Value::Absent => "absent".to_owned(),
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
        Ok(false) => "left out".to_owned(),
        Err(error) => error.to_string(),
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
    check("a:bigint b.c:text", r#"{"b":3}"#, "absent absent");
    check("a:bigint b.c:text", r#"{"b":{"c":null}}"#, "absent null");
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

#[test]
fn the_last_of_one_name_counts_with_all_that_is_in_it() {
    check("a:bigint", r#"{"a":1,"a":2}"#, "2");
    check("a:bigint", r#"{"a":"x","a":2}"#, "2");
    check("a:bigint", r#"{"a":2,"\u0061":"x"}"#, r#"'a' is "x", which is no bigint"#);
    check("a.b:bigint a.c:bigint", r#"{"a":{"b":1},"a":{"c":2}}"#, "absent 2");
    check("a.b:bigint a:json", r#"{"a":{"b":1},"a":3}"#, "absent `3`");
    assert_eq!(row("a.b:bigint", "a.b = 1", r#"{"a":{"b":1},"a":{}}"#), "left out");
}

#[test]
fn members_that_are_no_column_become_one_where_the_schema_grows() {
    let columns = schema("a:bigint").columns;
    let schema = Schema::new("t", columns, &[], true).expect("a table");
    let condition = Condition::parse("a > 0 and late != 1").expect("a condition");
    let mut decoder = Decoder::new(&schema, &condition);
    let mut rows = Rows::new(1);
    let mut grown = |record: &str| {
        drop(decoder.decode(record.as_bytes(), &mut rows.begin()));
        let columns = decoder.new_columns();
        columns.iter().map(|column| format!("{}:{}", column.name, column.kind)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(grown(r#"{"a":1}"#), "");
    assert_eq!(grown(r#"{"a":1,"b":null,"c":{"d":1},"c":2,"e":"x"}"#), "c:json e:text");
    assert_eq!(grown(r#"{"a":1,"late":2}"#), "late:bigint", "a field that the condition names is a field");
    assert_eq!(grown(r#"{"a":0,"f":2}"#), "", "left out by the condition");
    assert_eq!(grown(r#"{"a":"x","f":2}"#), "", "refused");
}

/// What a value comes to in a column, by `serde_json`.
fn shown(kind: ColumnType, value: Option<&serde_json::Value>) -> Option<String> {
    use serde_json::Value as Json;
    Some(match (kind, value) {
        (_, None) => "absent".to_owned(),
        (_, Some(Json::Null)) => "null".to_owned(),
        (ColumnType::Json, Some(value)) => format!("`{value}`"),
        (ColumnType::Text, Some(Json::String(text))) if !text.contains('\0') => format!("'{text}'"),
        (ColumnType::Text, Some(value @ (Json::Bool(_) | Json::Number(_)))) => format!("'{value}'"),
        (ColumnType::Bigint, Some(value)) => value.as_i64()?.to_string(),
        (ColumnType::Double, Some(Json::Number(number))) => {
            format!("{:?}", number.to_string().parse::<f64>().ok()?)
        }
        (ColumnType::Boolean, Some(value)) => value.as_bool()?.to_string(),
        (ColumnType::Timestamp, Some(Json::String(text))) => {
            format!("{}us", model::time::parse_date_time_us(text)?)
        }
        (ColumnType::Timestamp, Some(value)) => format!("{}us", value.as_i64()?.checked_mul(1_000)?),
        (ColumnType::Text | ColumnType::Double, Some(_)) => return None,
    })
}

/// Some of the members of an object, each any number of times.
fn members(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop::sample::select(&[r#""a""#, r#""b""#, r#""\u0062""#, r#""c""#, r#""d""#][..]);
    let member = (name, inner).prop_map(|(name, value)| format!("{name}:{value}"));
    prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        (-9i8..9).prop_map(|value| format!("{value}")),
        // Of others serde_json is off by a bit.
        any::<i32>().prop_map(|value| format!("{:?}", f64::from(value) / 8.0)),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        prop::sample::select(&["null", "true", "[]", "{}", r#""2026-01-31""#, r#""\u0000""#][..])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn rows_are_what_serde_json_says(
        kinds in prop::array::uniform4(prop::sample::select(&ColumnType::ALL[..])),
        record in members(prop_oneof![3 => value(), 1 => members(value())]),
    ) {
        let paths = ["a", "b", "b.c", "b.a"];
        let columns: Vec<_> = paths.iter().zip(kinds).map(|(path, kind)| format!("{path}:{kind}")).collect();
        let json: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        let values = paths.iter().map(|path| path.split('.').try_fold(&json, |json, name| json.get(name)));
        let expected: Option<Vec<String>> = values.zip(kinds).map(|(value, kind)| shown(kind, value)).collect();
        let told = row(&columns.join(" "), "", &record);
        match expected {
            // What a JSON column keeps is as it came, and duplicates with it.
            Some(expected) if !expected.iter().any(|shown| shown.starts_with("`{")) => {
                prop_assert_eq!(told, expected.join(" "));
            }
            Some(_) => prop_assert!(!told.contains("which is no"), "{}", told),
            None => prop_assert!(told.contains("which is no"), "{}", told),
        }
    }
}
