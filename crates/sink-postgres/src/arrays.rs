//! Rows as parameters: an array for each column, for few rows that are not worth a COPY.

use bytes::{BufMut, BytesMut};
use sink::{ColumnType, Rows, Value};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::copy::{EPOCH_US, JSONB_VERSION};

/// The array of a column of these rows.
pub(crate) fn array<'a>(
    rows: &'a Rows,
    taken: &[&'a [Value]],
    column: usize,
    kind: ColumnType,
) -> Box<dyn ToSql + Send + Sync + 'a> {
    let values = taken.iter().map(|row| &row[column]);
    let text = |value: &Value| match value {
        Value::Text(at) | Value::Json(at) => Some(rows.text(at)),
        _ => None,
    };
    let number = |value: &Value| match value {
        Value::Bigint(number) | Value::Timestamp(number) => Some(*number),
        _ => None,
    };
    match kind {
        ColumnType::Bigint => Box::new(values.map(number).collect::<Vec<_>>()),
        ColumnType::Timestamp => Box::new(values.map(|value| number(value).map(Moment)).collect::<Vec<_>>()),
        ColumnType::Text => Box::new(values.map(text).collect::<Vec<_>>()),
        ColumnType::Json => Box::new(values.map(|value| text(value).map(Json)).collect::<Vec<_>>()),
        ColumnType::Double => {
            let double = |value: &Value| if let Value::Double(number) = value { Some(*number) } else { None };
            Box::new(values.map(double).collect::<Vec<_>>())
        }
        ColumnType::Boolean => {
            let boolean = |value: &Value| if let Value::Boolean(is) = value { Some(*is) } else { None };
            Box::new(values.map(boolean).collect::<Vec<_>>())
        }
    }
}

/// Microseconds since 1970.
#[derive(Debug)]
struct Moment(i64);

impl ToSql for Moment {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_i64(self.0.saturating_sub(EPOCH_US));
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// JSON as it is written.
#[derive(Debug)]
struct Json<'a>(&'a str);

impl ToSql for Json<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        if *kind == Type::JSONB {
            out.put_u8(JSONB_VERSION);
        }
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        [Type::JSON, Type::JSONB, Type::TEXT].contains(kind)
    }

    to_sql_checked!();
}
