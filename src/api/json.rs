//! Reads JSON of any type without a tree of its values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// What becomes of a value of each type.
pub(super) trait FromJson<'de>: Sized {
    type Value;

    /// Null, a boolean or a number.
    fn scalar(self, value: Value) -> Self::Value;

    fn text(self, text: &str) -> Self::Value;

    fn array<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error>;

    fn object<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error>;
}

/// Reads one value.
pub(super) struct Json<T>(pub(super) T);

impl<'de, T: FromJson<'de>> DeserializeSeed<'de> for Json<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromJson<'de>> Visitor<'de> for Json<T> {
    type Value = T::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<T::Value, E> {
        Ok(self.0.scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<T::Value, E> {
        Ok(self.0.scalar(value.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T::Value, E> {
        Ok(self.0.scalar(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T::Value, E> {
        Ok(self.0.scalar(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T::Value, E> {
        Ok(self.0.scalar(Number::from_f64(number).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<T::Value, E> {
        Ok(self.0.text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T::Value, A::Error> {
        self.0.array(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T::Value, A::Error> {
        self.0.object(members)
    }
}
