//! Mistakes in a message table stop the build with the line they are in.

#[path = "../build/model.rs"]
#[allow(dead_code, reason = "only parsing is tested here")]
mod model;
#[path = "../build/parse.rs"]
mod parse;

#[track_caller]
fn check(body: &str, line: usize, what: &str) {
    let text = format!("api 1 Fetch\nversions 4-18\nflexible 12+\n\n{body}");
    match parse::table("01_fetch", &text) {
        Ok(table) => panic!("read as {table:?}"),
        Err(error) => assert_eq!((error.line, error.what.as_str()), (line, what)),
    }
}

#[test]
fn mistakes_are_found_where_they_are() {
    check("request\n  a int8\n", 6, "a field is `name: type`, not `a int8`");
    check("request\n  a: int9\n", 6, "no such type: int9");
    check("request\n  a: int8 6-5\n", 6, "6-5 is an empty range of versions");
    check("request\n  a: int8 3+\n", 6, "a exists in versions its parent does not");
    check("request\n  a: int8 ignored\n", 6, "no such attribute: ignored");
    check("request\n  a: int8 12+ tag x\n", 6, "not a number: x");
    check("request\n  a: int8 11+ tag 0\n", 6, "tagged in a version that is not flexible");
    check("request\n  a: records 12+ tag 0\n", 6, "records cannot be tagged");
    check("request\n  a: int8\n    b: int8\n", 6, "a takes no fields");
    check("request\n   a: int8\n", 6, "indent with two spaces a level");
    check("request\n    a: int8\n", 6, "indented too far");
    check("  a: int8\n", 5, "indented, but nothing above it takes fields");
    check("request\n  a: B\n", 6, "no such struct: B");
    check("request\n  a: B\n    c: int8\n  d: []B\n    e: int8\n", 8, "struct B is there twice");
    check(
        "request\n  a: []B\n\nstruct B\n  c: string? 12+ tag 0\n",
        6,
        "an element may take no bytes at all",
    );
    check("request\n  a: B\n\nstruct B\n  c: []B\n", 8, "struct B holds itself");
    check("key\n  a: int8\n", 5, "a key block does not belong here");
    check("fields: 3\n", 5, "no such statement: fields: 3");
}

#[test]
fn a_field_says_all_it_can_say_on_one_line() {
    let text = "api 1 Fetch\nversions 4-18\nflexible 12+\nrequest\n  a: []B?13+ 12-15 tag 2 = null ignorable # why\n    c: int8\n";
    let table = parse::table("01_fetch", text).unwrap_or_else(|e| panic!("{}: {}", e.line, e.what));
    let field = &table.messages[0].body.fields[0];
    assert_eq!((field.name.as_str(), field.array, field.ignorable), ("a", true, true));
    assert_eq!((field.versions.first, field.versions.last, field.tag), (12, 15, Some(2)));
    assert_eq!(field.nullable.map(|versions| (versions.first, versions.last)), Some((13, 15)));
    assert_eq!((table.module.as_str(), field.default.as_deref()), ("fetch", Some("null")));
}
