//! The message tables as tests see them, and every message behind one signature.

#[path = "../../build/model.rs"]
#[allow(dead_code, reason = "the build script reads all of it, each test binary a part")]
pub mod model;
#[path = "../../build/parse.rs"]
mod parse;
#[allow(dead_code, reason = "each test binary samples what it needs")]
pub mod sample;

use model::{Message, Table};
use wire::Message as _;

/// Every table of `messages/`, parsed by the build script's own parser.
#[allow(clippy::disallowed_methods, reason = "tests read real files, the simulator never runs them")]
pub fn tables() -> Vec<Table> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/messages");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "msg")).collect();
    paths.sort();
    let parse = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        parse::table(stem, &text).unwrap_or_else(|e| panic!("{}:{}: {}", path.display(), e.line, e.what))
    };
    paths.iter().map(parse).collect()
}

/// Calls `visit` for every message in every version.
pub fn for_each_version(tables: &[Table], mut visit: impl FnMut(&Table, &Message, i16)) {
    for table in tables {
        for message in &table.messages {
            let versions = message.body.versions;
            (versions.first..=versions.last).for_each(|version| visit(table, message, version));
        }
    }
}

/// What became of some bytes.
pub struct Recoded {
    /// The message, encoded again.
    pub bytes: Vec<u8>,
    /// Bytes that decoding left over.
    pub left: usize,
}

/// Decodes, makes owned, encodes; the first number is [`wire::Reader::allocated`].
fn recode<'a, M: wire::Message<'a>>(
    bytes: &'a [u8],
    version: i16,
) -> (usize, Result<Recoded, wire::DecodeError>) {
    let mut reader = wire::Reader::new(bytes);
    let decoded = M::decode(&mut reader, version);
    let recoded = decoded.map(|message| {
        let mut writer = wire::Writer::new();
        message.into_owned().encode(&mut writer, version).expect("what was decoded can be encoded");
        Recoded { bytes: writer.into_bytes().unwrap(), left: reader.left() }
    });
    (reader.allocated(), recoded)
}

/// Decodes and encodes the message called `name`: the memory its arrays took, and what became of it.
pub fn recode_by_name(name: &str, bytes: &[u8], version: i16) -> (usize, Result<Recoded, wire::DecodeError>) {
    macro_rules! by_name {
        ($($message:ident)*) => {
            match name {
                $(stringify!($message) => recode::<wire::$message>(bytes, version),)*
                _ => panic!("{name} is in the tables, not in the crate"),
            }
        };
    }
    wire::for_each_message!(by_name)
}

/// The default of the message called `name`, encoded.
#[allow(dead_code, reason = "only the oracle asks for it")]
pub fn default_by_name(name: &str, version: i16) -> Vec<u8> {
    let mut writer = wire::Writer::new();
    macro_rules! by_name {
        ($($message:ident)*) => {
            match name {
                $(stringify!($message) => wire::$message::default().encode(&mut writer, version),)*
                _ => panic!("{name} is in the tables, not in the crate"),
            }
        };
    }
    wire::for_each_message!(by_name).expect("a default can be encoded");
    writer.into_bytes().unwrap()
}
