//! The registry: `ApiKey`, and macros that name every message, so that a table more is a file more and nothing else.

use super::{line, push};
use crate::model::{Role, Table, Versions};

/// `ApiKey` and the two listing macros.
pub fn write(out: &mut String, tables: &[Table]) {
    let mut apis = Vec::new();
    for table in tables {
        for message in &table.messages {
            if let (Some(name), Role::Request { key }) = (&table.api, message.role) {
                apis.push(Api {
                    name,
                    key,
                    versions: message.body.versions,
                    flexible: message.body.flexible,
                });
            }
        }
    }
    apis.sort_by_key(|api| api.key);
    key_enum(out, &apis);
    key_facts(out, &apis);
    listings(out, tables, &apis);
}

struct Api<'a> {
    name: &'a str,
    key: i16,
    versions: Versions,
    flexible: Option<i16>,
}

fn key_enum(out: &mut String, apis: &[Api<'_>]) {
    push(out, "/// The APIs whose messages this crate knows.\n");
    push(
        out,
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\npub enum ApiKey {\n",
    );
    for api in apis {
        let doc = format!("Key {}, versions {}-{}.", api.key, api.versions.first, api.versions.last);
        line(out, format_args!("#[doc = {doc:?}]\n{} = {},", api.name, api.key));
    }
    push(out, "}\n");
}

fn key_facts(out: &mut String, apis: &[Api<'_>]) {
    push(out, "impl ApiKey {\n/// Every key, ascending.\npub const ALL: &'static [ApiKey] = &[");
    for api in apis {
        push(out, &format!("ApiKey::{},", api.name));
    }
    push(out, "];\n/// The API with this number, if its messages are known.\n");
    push(out, "pub const fn from_i16(key: i16) -> Option<ApiKey> {\nSome(match key {\n");
    for api in apis {
        line(out, format_args!("{} => ApiKey::{},", api.key, api.name));
    }
    push(out, "_ => return None,\n})\n}\npub(crate) const fn facts(self) -> Facts {\nmatch self {\n");
    for Api { name, versions, flexible, .. } in apis {
        let range = format!("VersionRange {{ first: {}, last: {} }}", versions.first, versions.last);
        line(
            out,
            format_args!(
                "ApiKey::{name} => Facts {{ name: {name:?}, versions: {range}, flexible_from: {flexible:?} }},"
            ),
        );
    }
    push(out, "}\n}\n}\n");
}

fn listings(out: &mut String, tables: &[Table], apis: &[Api<'_>]) {
    push(
        out,
        "/// Calls a macro with every API and its request, ascending by key: `for_each_api!(m)` is\n\
         /// `m! { Produce ProduceRequest Fetch FetchRequest … }`.\n\
         #[macro_export]\nmacro_rules! for_each_api { ($callback:ident) => { $callback! {",
    );
    for api in apis {
        push(out, &format!(" {0} {0}Request", api.name));
    }
    push(
        out,
        " } } }\n/// Calls a macro with the type name of every message: requests, responses, headers, records.\n\
         #[macro_export]\nmacro_rules! for_each_message { ($callback:ident) => { $callback! {",
    );
    for message in tables.iter().flat_map(|table| &table.messages) {
        push(out, &format!(" {}", message.body.name));
    }
    push(out, " } } }\n");
}
