//! Reads the items of a JSON array one by one, so that they are never all in memory: two bytes of JSON can be an item
//! that takes a hundred.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What the items of an array become together.
pub(super) trait Gather<Item>: Default {
    /// Takes in the next item.
    fn add(&mut self, item: Item);
}

/// Reads an array, or `null` as `None`.
pub(super) fn each<'de, D, Item, All>(deserializer: D) -> Result<Option<All>, D::Error>
where
    D: Deserializer<'de>,
    Item: Deserialize<'de>,
    All: Gather<Item>,
{
    deserializer.deserialize_any(Each(PhantomData))
}

struct Each<Item, All>(PhantomData<(Item, All)>);

impl<'de, Item: Deserialize<'de>, All: Gather<Item>> Visitor<'de> for Each<Item, All> {
    type Value = Option<All>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = All::default();
        while let Some(item) = list.next_element()? {
            all.add(item);
        }
        Ok(Some(all))
    }
}

/// Appends text without a third copy of either part.
pub(super) fn append(text: &mut String, mut more: String) {
    if text.len() < more.len() {
        more.insert_str(0, text);
        *text = more;
    } else {
        text.push_str(&more);
    }
}
