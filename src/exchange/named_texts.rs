//! Names with texts, as serde reads them: a query, a form, the parameters of a route.
//!
//! The crate `serde_urlencoded` takes no repeated name and no empty number. `serde_html_form` takes both, but its
//! errors do not name the field, and it reads nothing without names, such as a tuple of parameters.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

/// A name and a text.
type Named<'de> = (Cow<'de, str>, Cow<'de, str>);

type Result<T> = std::result::Result<T, Failure>;

// ---- what went wrong ------------------------------------------------------------------------------------------------

/// Why the texts did not become a value.
#[derive(Debug)]
pub(super) struct Failure {
    /// The name of the text, and its number if there are several. It is empty if the whole is meant.
    pub(super) path: String,
    pub(super) reason: String,
    /// Names or their number do not fit the type, whatever the texts are.
    pub(super) is_about_names: bool,
}

impl Failure {
    fn about_names(reason: impl Display) -> Self {
        Self { is_about_names: true, ..Self::custom(reason) }
    }

    /// The failure of the text that has this name.
    fn of(mut self, name: &str) -> Self {
        self.path.insert_str(0, name);
        self
    }
}

impl Error for Failure {
    fn custom<T: Display>(reason: T) -> Self {
        Self { path: String::new(), reason: reason.to_string(), is_about_names: false }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::about_names(format_args!("missing field `{field}`"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::about_names(format_args!("unknown field `{field}`"))
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        Self::about_names(format_args!("invalid length {len}, expected {expected}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for Failure {}

// ---- all names ------------------------------------------------------------------------------------------------------

/// All names with their texts. Those of one name must be beside each other.
#[derive(Clone, Copy)]
pub(super) struct NamedTexts<'de> {
    all: &'de [Named<'de>],
    /// The texts have an order that means something, so they can be read without their names.
    is_ordered: bool,
}

impl<'de> NamedTexts<'de> {
    /// The pairs of a query or of a form, sorted by name.
    pub(super) const fn of_pairs(all: &'de [Named<'de>]) -> Self {
        Self { all, is_ordered: false }
    }

    /// The parameters of a route.
    pub(super) const fn of_route(all: &'de [Named<'de>]) -> Self {
        Self { all, is_ordered: true }
    }

    /// Reads the only parameter of a route. All else is a map.
    fn only<V, R>(self, visitor: V, read: R) -> Result<V::Value>
    where
        V: Visitor<'de>,
        R: FnOnce(Text<'de>, V) -> Result<V::Value>,
    {
        match self.all {
            [(name, text)] if self.is_ordered => read(Text(text), visitor).map_err(|failure| failure.of(name)),
            all if self.is_ordered => Err(Failure::invalid_length(all.len(), &visitor)),
            _ => Err(Failure::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    fn in_order<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if !self.is_ordered {
            return Err(Failure::invalid_type(Unexpected::Map, &visitor));
        }
        let mut texts = InOrder { rest: self.all.iter() };
        let value = visitor.visit_seq(&mut texts)?;
        match texts.rest.len() {
            0 => Ok(value),
            _ => Err(Failure::about_names(format_args!("there are {}", self.all.len()))),
        }
    }
}

/// Methods of a [`Deserializer`] for types that are one text.
macro_rules! each_is_one_text {
    ($lifetime:lifetime: $($method:ident)*) => {
        $(fn $method<V: Visitor<$lifetime>>(self, visitor: V) -> Result<V::Value> {
            self.only(visitor, |text, visitor| text.$method(visitor))
        })*

        fn deserialize_enum<V: Visitor<$lifetime>>(
            self,
            name: &'static str,
            variants: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value> {
            self.only(visitor, |text, visitor| text.deserialize_enum(name, variants, visitor))
        }
    };
}

impl<'de> Deserializer<'de> for NamedTexts<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_map(Names { rest: self.all, texts: &[] })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.in_order(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.in_order(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value> {
        self.in_order(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    each_is_one_text! { 'de:
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
    }

    forward_to_deserialize_any! { map struct identifier ignored_any }
}

/// Gives each name once, and then all of its texts.
struct Names<'de> {
    rest: &'de [Named<'de>],
    texts: &'de [Named<'de>],
}

impl<'de> MapAccess<'de> for Names<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((name, _)) = self.rest.first() else { return Ok(None) };
        let count = self.rest.iter().take_while(|(next, _)| next == name).count();
        (self.texts, self.rest) = self.rest.split_at(count);
        let key = seed.deserialize(Text(name)).map(Some);
        key.map_err(|failure| if failure.is_about_names { failure } else { failure.of(name) })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let name = self.texts.first().map_or("", |(name, _)| name);
        seed.deserialize(Texts(self.texts)).map_err(|failure| failure.of(name))
    }
}

/// Gives the parameters of a route in order.
struct InOrder<'de> {
    rest: std::slice::Iter<'de, Named<'de>>,
}

impl<'de> SeqAccess<'de> for &mut InOrder<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((name, text)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(Text(text)).map(Some).map_err(|failure| failure.of(name))
    }
}

// ---- the texts of one name ------------------------------------------------------------------------------------------

/// All texts of one name. There is at least one.
struct Texts<'de>(&'de [Named<'de>]);

impl<'de> Texts<'de> {
    fn only<V, R>(self, visitor: V, read: R) -> Result<V::Value>
    where
        V: Visitor<'de>,
        R: FnOnce(Text<'de>, V) -> Result<V::Value>,
    {
        match self.0 {
            [(_, text)] => read(Text(text), visitor),
            all => Err(Failure::custom(format_args!("there are {} values, expected one", all.len()))),
        }
    }

    fn list<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let mut list = List { all: self.0, next: 0 };
        let value = visitor.visit_seq(&mut list)?;
        match self.0.len() {
            count if count > list.next => {
                Err(Failure::custom(format_args!("there are {count} values, expected fewer")))
            }
            _ => Ok(value),
        }
    }
}

impl<'de> Deserializer<'de> for Texts<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            [(_, text)] => Text(text).deserialize_any(visitor),
            _ => self.list(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            [(_, text)] if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value> {
        self.list(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    each_is_one_text! { 'de:
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
    }

    forward_to_deserialize_any! { unit unit_struct map struct identifier }
}

/// Gives the texts of one name in order.
struct List<'de> {
    all: &'de [Named<'de>],
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut List<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((_, text)) = self.all.get(self.next) else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        seed.deserialize(Text(text)).map(Some).map_err(|failure| failure.of(&format!("[{at}]")))
    }
}

// ---- one text -------------------------------------------------------------------------------------------------------

/// One text. Numbers are parsed from it.
struct Text<'de>(&'de str);

/// Methods of a [`Deserializer`] for types that are parsed from a text.
macro_rules! each_is_parsed {
    ($($method:ident $visit:ident $number:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.0.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(Failure::invalid_value(Unexpected::Str(self.0), &visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(StrDeserializer::new(self.0))
    }

    /// A box of an HTML form that is ticked sends `on`, unless it has a value of its own.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            "true" | "on" | "1" => visitor.visit_bool(true),
            "false" | "off" | "0" => visitor.visit_bool(false),
            text => Err(Failure::invalid_value(Unexpected::Str(text), &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    each_is_parsed! {
        deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16; deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64; deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16; deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64; deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32; deserialize_f64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}
