//! The list of models. It is read item by item: four bytes of it can be a model that takes two hundred.

use std::cell::Cell;

use serde::de::{DeserializeSeed as _, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::excerpt::{Excerpt, values};
use super::json::{FromJson, Json};
use super::models::{MEMBERS, Model};

/// The most pages of a list.
pub(super) const MAX_PAGES: usize = 20;

/// The most that all pages of a list may have, in bytes. A list of the 3,000 models of a large gateway has 3 MB.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The most models of a list.
pub(super) const MAX_MODELS: usize = 10_000;

/// The members of an object with a list that are read.
const OF_LIST: &[&str] = &["object", "has_more", "last_id"];

/// A page of the list of models.
pub(super) struct Page {
    pub(super) models: Vec<Model>,
    /// The id that the next page begins after. `None` on the last page.
    pub(super) next: Option<String>,
    /// It has more than [`MAX_MODELS`] models. The others were left out.
    pub(super) is_cut: bool,
}

/// Reads a page in the shape of the Messages API, or in that of OpenAI, which has no further pages. Gateways answer
/// with either, whatever they are asked, and some with another list: a bare array, or an array or an object of models
/// by id in `data` or `models`.
pub(super) fn page(body: &[u8]) -> Option<Page> {
    let left = Cell::new(MAX_MODELS);
    let (values, is_cut) = (values(), Cell::new(false));
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = Json(Reading { left: &left, is_cut: &is_cut, values: &values }).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    let (models, has_more, last_id) = match found {
        Found::List { models, is_plain: true } => (models, false, None),
        Found::Object(object) => {
            let has_more = object.members.get("has_more") == Some(&Value::Bool(true));
            let last_id = object.members.get("last_id").and_then(Value::as_str).map(str::to_owned);
            (object.listed()?, has_more, last_id)
        }
        _ => return None,
    };
    let last = last_id.or_else(|| models.last().map(|model| model.id.clone()));
    Some(Page { models, next: last.filter(|_| has_more), is_cut: is_cut.get() })
}

/// A value where a list may be.
enum Found {
    /// `null`
    Null,
    /// An array. It is plain if it has only strings and objects.
    List {
        models: Vec<Model>,
        is_plain: bool,
    },
    Object(Box<Object>),
    Other,
}

/// An object where a list may be.
#[derive(Default)]
struct Object {
    data: Option<Found>,
    models: Option<Found>,
    /// The other members, as far as they describe a list or a model.
    members: Map<String, Value>,
    /// The models if the names of the members are ids.
    by_id: Vec<Model>,
    /// A member is not an object, so the names are not ids.
    has_other: bool,
}

impl Object {
    /// The models of an object with a list.
    fn listed(self) -> Option<Vec<Model>> {
        match self.data.or(self.models)? {
            // Some services write an empty list as null.
            Found::Null if self.members.get("object").is_some_and(|kind| kind == "list") => Some(Vec::new()),
            Found::List { models, .. } => Some(models),
            Found::Object(inner) => inner.models(),
            Found::Null | Found::Other => None,
        }
    }

    /// The models of an object in the place of a list: an object with a list again, one model, or models by id.
    fn models(self) -> Option<Vec<Model>> {
        if self.data.is_some() || self.models.is_some() {
            return self.listed();
        }
        if self.members.get("id").is_some_and(Value::is_string) {
            return Some(Model::of(Value::Object(self.members)).into_iter().collect());
        }
        (!self.has_other).then_some(self.by_id)
    }
}

/// Reads a value where a list may be.
#[derive(Clone, Copy)]
struct Reading<'a> {
    /// How many more models may be kept.
    left: &'a Cell<usize>,
    /// A model was left out.
    is_cut: &'a Cell<bool>,
    /// How many more values the objects with lists may keep beside their models.
    values: &'a Cell<usize>,
}

impl Reading<'_> {
    fn push(self, models: &mut Vec<Model>, model: Option<Model>) {
        // A model without an id cannot be asked.
        let Some(model) = model else { return };
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                models.push(model);
            }
            None => self.is_cut.set(true),
        }
    }

    /// Takes in a member whose name may be the id of a model.
    fn push_named(self, object: &mut Object, name: &str, mut value: Value) {
        if value.is_object() {
            value["id"] = name.into();
            self.push(&mut object.by_id, Model::of(value));
        } else {
            object.has_other = true;
        }
    }
}

impl<'de> FromJson<'de> for Reading<'_> {
    type Value = Found;

    fn scalar(self, value: Value) -> Found {
        if value.is_null() { Found::Null } else { Found::Other }
    }

    fn text(self, _: &str) -> Found {
        Found::Other
    }

    fn array<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let (mut models, mut is_plain) = (Vec::new(), true);
        while let Some(item) = list.next_element_seed(Excerpt::new(&values(), Some(MEMBERS)))? {
            is_plain &= item.is_string() || item.is_object();
            self.push(&mut models, Model::of(item));
        }
        Ok(Found::List { models, is_plain })
    }

    fn object<A: MapAccess<'de>>(self, mut members: A) -> Result<Found, A::Error> {
        let mut object = Object::default();
        while let Some(name) = members.next_key::<String>()? {
            match &*name {
                "data" => object.data = Some(members.next_value_seed(Json(self))?),
                "models" => object.models = Some(members.next_value_seed(Json(self))?),
                name if OF_LIST.contains(&name) || MEMBERS.contains(&name) => {
                    let value = members.next_value_seed(Excerpt::new(self.values, Some(MEMBERS)))?;
                    self.push_named(&mut object, name, value.clone());
                    object.members.insert(name.to_owned(), value);
                }
                name => {
                    let value = members.next_value_seed(Excerpt::new(&values(), Some(MEMBERS)))?;
                    self.push_named(&mut object, name, value);
                }
            }
        }
        Ok(Found::Object(Box::new(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<String>> {
        Some(page(body.as_bytes())?.models.into_iter().map(|model| model.id).collect())
    }

    #[test]
    fn lists_of_every_shape_are_read() {
        for body in [
            r#"{"data":[{"id":"a"},{"id":"b"},{"id":""},{"other":1},7]}"#,
            r#"[{"id":"a"},{"id":"b"}]"#,
            r#"["a","b"]"#,
            r#"{"data":["a","b"]}"#,
            r#"{"data":["a","b"],"models":["c"]}"#,
            r#"{"models":["c"],"data":["a","b"]}"#,
            r#"{"models":[{"name":"a"},{"model":"b","name":"B"}]}"#,
            r#"{"models":["a","b"]}"#,
            r#"{"data":{"a":{"owner":1},"b":{}}}"#,
            r#"{"data":{"a":{"id":"x"},"b":{"data":[]}}}"#,
            r#"{"data":{"models":[{"id":"a"},{"id":"b"}]}}"#,
            r#"{"data":{"x":{},"models":[{"id":"a"},{"id":"b"}]}}"#,
            r#"{"data":[{"model_name":"a","model_info":{"id":"x"}},{"model_name":"b"}]}"#,
        ] {
            assert_eq!(read(body), Some(vec!["a".into(), "b".into()]), "{body}");
        }
        assert_eq!(read(r#"{"data":{"id":"a","object":"model"}}"#), Some(vec!["a".into()]));
        assert_eq!(read(r#"{"data":{"model":{},"id":{}}}"#), Some(vec!["model".into(), "id".into()]));
        for body in ["[]", r#"{"data":[]}"#, r#"{"object":"list","data":null}"#, r#"{"data":null,"object":"list"}"#] {
            assert_eq!(read(body), Some(Vec::new()), "{body}");
        }
        for body in [
            "{}",
            "7",
            "[7]",
            r#"["a",7]"#,
            r#"{"data":null}"#,
            r#"{"data":7}"#,
            r#"{"data":{"a":7}}"#,
            r#"{"data":{"a":{},"b":7}}"#,
            r#"{"data":null,"models":["a"]}"#,
            r#"{"a":{}}"#,
            r#"{"error":"x"}"#,
            r#"["a"] 1"#,
            &"[".repeat(1_000),
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn a_page_leads_to_the_next() {
        let next = |body: &str| page(body.as_bytes()).unwrap().next;
        for (body, expected) in [
            (r#"{"data":["a"],"has_more":true,"last_id":"b"}"#, Some("b")),
            (r#"{"has_more":true,"data":["a"]}"#, Some("a")),
            (r#"{"has_more":false,"data":["a"],"last_id":"a"}"#, None),
            (r#"{"data":{"has_more":true,"data":["a"]}}"#, None),
        ] {
            assert_eq!(next(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_page_has_a_largest_number_of_models() {
        let list = |count: usize| format!("[{}\"a\"]", "\"a\",".repeat(count - 1));
        for (count, is_cut) in [(MAX_MODELS, false), (MAX_MODELS + 1, true)] {
            let page = page(list(count).as_bytes()).unwrap();
            assert_eq!((page.models.len(), page.is_cut), (MAX_MODELS, is_cut));
        }
    }
}
