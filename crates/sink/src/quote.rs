//! Names in statements.

use crate::schema::Schema;

/// The character that a database has names between, doubled where it is part of one.
#[derive(Clone, Copy, Debug)]
pub struct Quote(pub char);

impl Quote {
    /// The name of a column, or of anything else.
    pub fn name(self, name: &str) -> String {
        let Quote(mark) = self;
        format!("{mark}{}{mark}", name.replace(mark, &format!("{mark}{mark}")))
    }

    /// The name of a table, which may have its schema's or database's before it.
    pub fn table(self, table: &str) -> String {
        table.split('.').map(|part| self.name(part)).collect::<Vec<_>>().join(".")
    }

    /// The names of these columns, with commas between.
    pub fn columns(self, schema: &Schema, columns: &[usize]) -> String {
        let names = columns.iter().map(|&index| self.name(&schema.columns[index].name));
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_does_not_end_it() {
        assert_eq!(Quote('"').table("a.b\"c"), "\"a\".\"b\"\"c\"");
        assert_eq!(Quote('`').name("a`b\"c.d"), "`a``b\"c.d`");
    }
}
