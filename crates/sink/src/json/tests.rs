//! The cursor beside `serde_json`.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

fn read(text: &str) -> Result<Written<'_>, Malformed> {
    let mut cursor = Cursor::new(text);
    let value = cursor.value()?;
    cursor.end()?;
    Ok(value)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let told = read(text).map_or_else(|malformed| malformed.to_string(), |written| written.json.to_owned());
    assert_eq!(told, expected, "{text}");
    assert_eq!(read(text).is_ok(), serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text}");
}

#[test]
fn values_are_read_as_they_are_written() {
    for text in ["null", "-0.5e+3", "0", r#""ö\"\u00e4""#, "[]", r#"{"a" : [1, {}], "b":"\ud800"}"#] {
        check(text, text);
        check(&format!("\r\n {text}\t"), text);
    }
}

#[test]
fn what_is_no_json_is_said_with_its_place() {
    check("", "a value is expected at byte 0");
    check("nul", "null is expected at byte 0");
    check("1 2", "the end is expected at byte 2");
    check("01", "the end is expected at byte 1");
    check("-", "a digit is expected at byte 1");
    check("1.e3", "a digit is expected at byte 2");
    check("{1:2}", "a name is expected at byte 1");
    check(r#"{"a" 1}"#, "':' is expected at byte 5");
    check(r#"{"a":1,}"#, "a name is expected at byte 7");
    check("[1 2]", "',' or ']' is expected at byte 3");
    check(r#""a"#, "'\"' is expected at byte 2");
    check(r#""\x""#, "an escape is expected at byte 1");
    check("\"\\", "an escape is expected at byte 1");
    check(r#""\u12g4""#, "an escape is expected at byte 1");
    check("\"\n\"", "an escape instead of a control character is expected at byte 1");
}

#[test]
fn texts_are_what_they_say() {
    let text = |json| read(json).expect("JSON").text().map(Cow::into_owned);
    assert_eq!(text(r#""a\n\u00e4\ud83d\ude00""#).as_deref(), Some("a\nä😀"));
    assert_eq!(text(r#""\ud83d""#), None, "J2");
    assert_eq!(text("1"), None);
}

#[test]
fn depth_has_an_end() {
    for (levels, is_json) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(read(&text).is_ok(), is_json, "{levels}");
        assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), is_json, "{levels}");
        let text = format!("[{text},{text}]").replacen("[[", "[", 1).replacen("]]", "]", 1);
        assert_eq!(read(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{levels}");
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| Value::from(value).to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just(r#"" \ud83d\ude00\b\/""#.to_owned()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![
            Just(r#""a""#.to_owned()),
            any::<String>().prop_map(|name| Value::from(name).to_string())
        ];
        let member = (name, inner.clone()).prop_map(|(name, value)| format!("{name}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(" , "))),
            prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Somewhere in a text, one character more, less or other.
fn spoilt((text, at, with, is_more): (String, prop::sample::Index, char, bool)) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = at.index(characters.len());
    if is_more {
        characters.insert(at, with);
    } else if with == '#' {
        characters.remove(at);
    } else {
        characters[at] = with;
    }
    characters.into_iter().collect()
}

proptest! {
    #[test]
    fn what_serde_json_reads_is_read(text in json()) {
        let written = read(&text).expect("JSON");
        prop_assert_eq!(written.json, &text);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let said = written.text();
        prop_assert_eq!(said.as_deref(), value.as_str());
        prop_assert_eq!(value.as_str().is_some_and(|text| written.is_text(text)), value.is_string());
    }

    #[test]
    fn what_serde_json_refuses_is_refused(
        text in (
            json(),
            any::<prop::sample::Index>(),
            prop::sample::select(r#"#{}[]",:\u0e.-+ t"#.chars().chain(['\n', '\u{1}']).collect::<Vec<_>>()),
            any::<bool>(),
        ).prop_map(spoilt)
    ) {
        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(read(&text).is_ok(), is_json, "{}", text);
    }
}
