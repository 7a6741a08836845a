//! Query, form and parameters as a type of the application, by serde.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::fault::message;
use super::named_texts::{Failure, NamedTexts};
use super::{Pairs, Request};
use crate::http::{Error, Result};
use crate::limits::MAX_TYPED_PAIRS;

impl Request<'_> {
    /// The query as a type of yours: the struct has a field for each name.
    ///
    /// Numbers, characters and enums without content are parsed from the text. A `bool` is `true`, `on` or `1`, and
    /// `false`, `off` or `0`. An `Option` is `None` if the name is missing or its value is empty. A `Vec` takes all
    /// values of a name; without any it needs `#[serde(default)]`, as every field that may be missing does. A name that
    /// `T` does not know is ignored, unless `T` has `#[serde(deny_unknown_fields)]`.
    ///
    /// In a flattened struct, and in an enum that is tagged or untagged, serde keeps text. So numbers cannot be there,
    /// an empty value is no `None`, and a `Vec` only takes two values or more: read those by a field of their own.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Search {
    ///     q: String,
    ///     #[serde(default)]
    ///     tag: Vec<String>,
    ///     page: Option<u32>,
    /// }
    ///
    /// let mut app = Router::new(());
    /// app.get("/search", |_, req, res| {
    ///     let Search { q, tag, page } = req.query_as()?;
    ///     res.text(format!("{q:?} in {tag:?}, page {}", page.unwrap_or(1)))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/search?q=a+b&tag=x&tag=y").send().text(), r#""a b" in ["x", "y"], page 1"#);
    ///
    /// let reply = client.get("/search?q=a&page=two").send();
    /// assert_eq!(reply.status(), 400);
    /// assert_eq!(reply.text(), r#"{"error":"page: invalid value: string \"two\", expected u32"}"#);
    /// assert_eq!(client.get("/search").send().text(), r#"{"error":"missing field `q`"}"#);
    /// ```
    ///
    /// # Errors
    /// A 400 when a name is missing, or when a value is not what `T` expects. The message names the field. It may quote
    /// the query, shortened and without control characters. An [error renderer](crate::Router::on_error) that makes
    /// HTML of it must escape it.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[doc(alias("deserialize", "search_params"))]
    pub fn query_as<T: DeserializeOwned>(&self) -> Result<T> {
        from_pairs(self.query_pairs(), 400)
    }

    /// The content, read as a posted form, as a type of yours. Values become fields as in [`query_as`](Self::query_as).
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct SignUp {
    ///     name: String,
    ///     age: u8,
    ///     #[serde(default)]
    ///     newsletter: bool,
    /// }
    ///
    /// let mut app = Router::new(());
    /// app.post("/people", |_, req, res| {
    ///     let SignUp { name, age, newsletter } = req.form_as()?;
    ///     res.text(format!("{name}, {age}, {newsletter}"))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// let mut post = |age| client.post("/people").form([("name", "Ann"), ("age", age), ("newsletter", "on")]).send();
    /// assert_eq!(post("7").text(), "Ann, 7, true");
    /// assert_eq!(post("700").status(), 422);
    /// assert_eq!(post("700").text(), r#"{"error":"age: invalid value: string \"700\", expected u8"}"#);
    /// ```
    ///
    /// # Errors
    /// - A 415 when the `Content-Type` is not `application/x-www-form-urlencoded`.
    /// - A 422 when a name is missing, or when a value is not what `T` expects (RFC 9110 §15.5.21). The message names
    ///   the field, and may quote the form, as that of [`query_as`](Self::query_as) may quote the query.
    /// - A 413 when the form has more than 10,000 values. [`form`](Self::form) reads longer ones.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[doc(alias("deserialize", "urlencoded"))]
    pub fn form_as<T: DeserializeOwned>(&self) -> Result<T> {
        from_pairs(self.form()?, 422)
    }

    /// The parameters of the route as a type of yours, percent-decoded: a struct with a field for each name, a tuple or
    /// a `Vec` in the order of the path, or one value if there is one parameter. Values become fields as in
    /// [`query_as`](Self::query_as).
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Day { year: u16, month: u8 }
    ///
    /// let mut app = Router::new(());
    /// app.get("/archive/:year/:month", |_, req, res| {
    ///     let Day { year, month } = req.params_as()?;
    ///     res.text(format!("month {month} of {year}"))
    /// });
    /// app.get("/files/:owner/:number", |_, req, res| {
    ///     let (owner, number): (String, u64) = req.params_as()?;
    ///     res.text(format!("number {number} of {owner}"))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/archive/2026/12").send().text(), "month 12 of 2026");
    /// assert_eq!(client.get("/files/b%C3%A9b%C3%A9/7").send().text(), "number 7 of b\u{e9}b\u{e9}");
    ///
    /// let reply = client.get("/archive/2026/may").send();
    /// assert_eq!(reply.status(), 400);
    /// assert_eq!(reply.text(), r#"{"error":"month: invalid value: string \"may\", expected u8"}"#);
    /// ```
    ///
    /// # Errors
    /// - A 400 when a parameter is not what `T` expects, as with [`param`](Self::param): the path has matched a route,
    ///   and the message helps a client more than a 404 would.
    /// - A 500 when `T` does not fit the route: it has a field that the route lacks, or another number of values. The
    ///   log says which.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[doc(alias("deserialize", "path_parameters"))]
    pub fn params_as<T: DeserializeOwned>(&self) -> Result<T> {
        let params: Vec<_> = self.params().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        T::deserialize(NamedTexts::of_route(&params)).map_err(|failure| {
            let Failure { path, reason, is_about_names } = failure;
            if path.is_empty() && is_about_names {
                return Error::internal(format!("a type does not fit the parameters of {}: {reason}", self.path()));
            }
            Error::bad_request(message(&path, &reason))
        })
    }
}

fn from_pairs<T: DeserializeOwned>(pairs: Pairs<'_>, status: u16) -> Result<T> {
    let mut named: Vec<_> = pairs.iter().take(MAX_TYPED_PAIRS + 1).collect();
    if named.len() > MAX_TYPED_PAIRS {
        return Err(Error::new(413, "There are too many values"));
    }
    // This sort keeps the order of the values of one name.
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    let value = T::deserialize(NamedTexts::of_pairs(&named));
    value.map_err(|Failure { path, reason, .. }| Error::new(status, message(&path, &reason)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::{Router, TestClient};

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Search {
        q: String,
        page: Option<u32>,
        tag: Vec<String>,
        ids: Option<Vec<Id>>,
        is_new: bool,
        order: Order,
        price: Option<f64>,
        letter: Option<char>,
        area: Option<(i8, i8)>,
        title: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u128);

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Order {
        #[default]
        UpWards,
        Down,
        #[allow(dead_code, reason = "it cannot be read")]
        By(u8),
    }

    fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
        from_pairs(Pairs::new(query.as_bytes()), 400).map_err(|error| error.message().to_owned())
    }

    #[track_caller]
    fn check(query: &str, expected: Search) {
        assert_eq!(read(query), Ok(expected), "{query}");
    }

    #[test]
    fn values_become_fields() {
        let all = Search::default;
        check("", all());
        check("&&", all());
        check("other=1&q=a+b%26&more", Search { q: "a b&".into(), ..all() });
        check("page=4294967295&price=-1.5e3", Search { page: Some(u32::MAX), price: Some(-1500.0), ..all() });
        check("tag=b&q=x&tag=a&tag=", Search { q: "x".into(), tag: ["b", "a", ""].map(String::from).into(), ..all() });
        check("t%61g=1", Search { tag: vec!["1".into()], ..all() });
        check("ids=7", Search { ids: Some(vec![Id(7)]), ..all() });
        check("ids=8&ids=7", Search { ids: Some(vec![Id(8), Id(7)]), ..all() });
        for yes in ["true", "on", "1"] {
            check(&format!("is_new={yes}"), Search { is_new: true, ..all() });
        }
        for no in ["false", "off", "0"] {
            check(&format!("is_new={no}"), all());
        }
        check("order=down", Search { order: Order::Down, ..all() });
        check("letter=%C3%A4", Search { letter: Some('\u{e4}'), ..all() });
        check("area=1&area=-2", Search { area: Some((1, -2)), ..all() });
        // What is empty counts as missing where that is allowed.
        check("q=&page&price=&letter=&ids=&area=&title=", all());
        check("title=a", Search { title: Some("a".into()), ..all() });
        // The WHATWG rules replace what is not UTF-8.
        check("q=%ff", Search { q: "\u{fffd}".into(), ..all() });
    }

    #[test]
    fn an_error_names_the_field() {
        for (query, expected) in [
            ("page=x", "page: invalid value: string \"x\", expected u32"),
            ("page=-1", "page: invalid value: string \"-1\", expected u32"),
            ("page=4294967296", "page: invalid value: string \"4294967296\", expected u32"),
            ("page=1&page=2", "page: there are 2 values, expected one"),
            ("q=1&q=2", "q: there are 2 values, expected one"),
            ("ids=1&ids=x", "ids[1]: invalid value: string \"x\", expected u128"),
            ("is_new=yes", "is_new: invalid value: string \"yes\", expected a boolean"),
            ("is_new=", "is_new: invalid value: string \"\", expected a boolean"),
            ("order=left", "order: unknown variant `left`, expected one of `up-wards`, `down`, `by`"),
            ("order=by", "order: invalid type: unit variant, expected newtype variant"),
            ("letter=ab", "letter: invalid value: string \"ab\", expected a character"),
            ("area=1", "area: invalid length 1, expected a tuple of size 2"),
            ("area=1&area=2&area=3", "area: there are 3 values, expected fewer"),
        ] {
            assert_eq!(read::<Search>(query), Err(expected.to_owned()), "{query}");
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        age: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(Option<Strict>);

    #[test]
    fn names_may_be_missing_or_unknown() {
        assert_eq!(read("age=7"), Ok(Strict { age: 7 }));
        assert_eq!(read::<Strict>("").unwrap_err(), "missing field `age`");
        assert_eq!(read::<Strict>("a=1&age=7").unwrap_err(), "unknown field `a`");
        assert_eq!(read("age=7"), Ok(Wrapped(Some(Strict { age: 7 }))));
        assert_eq!(read("age=7"), Ok(()));
        let map = BTreeMap::from([(1, vec!["a".to_owned(), "b".to_owned()]), (2, vec![String::new()])]);
        assert_eq!(read("2=&1=a&1=b"), Ok(map));
        assert_eq!(read::<BTreeMap<u8, String>>("x=a").unwrap_err(), "x: invalid value: string \"x\", expected u8");
        for wrong in [read::<u32>("a=1").map(drop), read::<Vec<u32>>("a=1").map(drop), read::<Order>("a").map(drop)] {
            assert!(wrong.unwrap_err().starts_with("invalid type: map, expected "));
        }
    }

    #[test]
    fn a_hostile_query_gives_a_short_message() {
        let long = "x%1b".repeat(100_000);
        for query in [format!("page={long}"), format!("order={long}"), "page=1&".repeat(9_000)] {
            let message = read::<Search>(&query).unwrap_err();
            assert!(message.len() < 1500 && message.starts_with(&query[..4]), "{message}");
            assert!(message.chars().all(|c| !c.is_control()), "{message}");
        }
        let message = read::<BTreeMap<String, u8>>(&format!("{long}=x")).unwrap_err();
        assert!(message.len() < 1000 && message.ends_with(": invalid value: string \"x\", expected u8"), "{message}");
    }

    fn client<T: DeserializeOwned + Debug + 'static>(route: &str) -> TestClient<Router<()>> {
        let mut app = Router::new(());
        app.get(route, |_, req, res| res.text(format!("{:?}", req.params_as::<T>()?)));
        app.post(route, |_, req, res| res.text(format!("{:?}", req.form_as::<T>()?)));
        TestClient::new(app)
    }

    #[test]
    fn a_form_has_its_type_its_shape_and_its_limit() {
        let mut client = client::<Strict>("/");
        let mut post = |kind: &str, form: &str| {
            let reply = client.post("/").header("Content-Type", kind).body(form).send();
            (reply.status(), reply.text().to_owned())
        };
        let form = "application/x-www-form-urlencoded";
        assert_eq!(post(form, "age=7"), (200, "Strict { age: 7 }".into()));
        assert_eq!(post(&format!("{}; charset=utf-8", form.to_uppercase()), "age=7").0, 200);
        assert_eq!(post(form, "age=x").0, 422);
        assert_eq!(post(form, ""), (422, r#"{"error":"missing field `age`"}"#.into()));
        assert_eq!(post("text/plain", "age=7").0, 415);
        assert_eq!(post(form, &"a&".repeat(MAX_TYPED_PAIRS)).0, 422);
        assert_eq!(post(form, &"a&".repeat(MAX_TYPED_PAIRS + 1)).0, 413);
    }

    #[track_caller]
    fn params<T: DeserializeOwned + Debug + 'static>(route: &str, path: &str, status: u16, expected: &str) {
        let reply = client::<T>(route).get(path).send();
        assert_eq!((reply.status(), reply.text()), (status, expected), "{path} for {route}");
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only the reading of the fields matters")]
    struct Day {
        year: u16,
        month: Option<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only the reading of the fields matters")]
    struct Place(String, i32);

    #[test]
    fn parameters_become_a_struct_a_tuple_or_one_value() {
        params::<Day>("/:year/:month", "/2026/12", 200, "Day { year: 2026, month: Some(12) }");
        params::<Day>("/:month/:year/:more", "/1/2/x", 200, "Day { year: 2, month: Some(1) }");
        params::<Day>("/:year", "/7", 200, "Day { year: 7, month: None }");
        params::<(String, u8)>("/:a/:b", "/%2F%20+/3", 200, "(\"/ +\", 3)");
        params::<Place>("/:a/:b", "/x/-3", 200, "Place(\"x\", -3)");
        params::<Vec<String>>("/:a/*rest", "/x/y/z", 200, "[\"x\", \"y/z\"]");
        params::<u64>("/:id", "/18446744073709551615", 200, "18446744073709551615");
        params::<Id>("/:id", "/9", 200, "Id(9)");
        params::<String>("/:id", "/caf%C3%A9", 200, "\"caf\u{e9}\"");
        params::<Order>("/:order", "/down", 200, "Down");
        params::<BTreeMap<String, u8>>("/:a/:b", "/1/2", 200, "{\"a\": 1, \"b\": 2}");
        params::<()>("/", "/", 200, "()");
    }

    #[test]
    fn a_parameter_that_does_not_parse_is_the_clients_fault() {
        let error = r#"{"error":"year: invalid value: string \"x\", expected u16"}"#;
        params::<Day>("/:year/:month", "/x/1", 400, error);
        params::<(u16, u8)>("/:year/:month", "/x/1", 400, error);
        params::<u16>("/:year", "/x", 400, error);
        params::<Vec<u16>>("/:year", "/x", 400, error);
        let error = r#"{"error":"order: unknown variant `x`, expected one of `up-wards`, `down`, `by`"}"#;
        params::<Order>("/:order", "/x", 400, error);
    }

    #[test]
    fn a_type_that_does_not_fit_the_route_is_the_programs_fault() {
        const ERROR: &str = r#"{"error":"Internal server error"}"#;
        params::<Day>("/:years", "/2026", 500, ERROR);
        params::<(u16, u8)>("/:a", "/1", 500, ERROR);
        params::<(u16, u8)>("/:a/:b/:c", "/1/2/3", 500, ERROR);
        params::<u16>("/:a/:b", "/1/2", 500, ERROR);
        params::<u16>("/", "/", 500, ERROR);
        params::<Strict>("/:age/:name", "/1/2", 500, ERROR);
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Both {
        #[serde(default)]
        a: Vec<u8>,
        b: Option<i64>,
        #[serde(default)]
        c: String,
        d: Option<Letter>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Letter {
        A,
        B,
    }

    /// Its documentation warns of what serde does there.
    #[test]
    fn a_flattened_struct_takes_only_text() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Page<T> {
            #[serde(flatten)]
            inner: T,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Title {
            title: Option<String>,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Tags {
            tag: Vec<String>,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Number {
            page: u8,
        }
        let title = |title: &str| Ok(Page { inner: Title { title: Some(title.to_owned()) } });
        assert_eq!((read("title=a"), read("title=")), (title("a"), title("")));
        let tag = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(read("tag=a&tag=b"), Ok(Page { inner: Tags { tag } }));
        assert!(read::<Page<Tags>>("tag=a").is_err() && read::<Page<Number>>("page=1").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn queries_are_read_as_the_crate_reads_them(query in "([abcdx]=(1|-2|300|A|B|%41|x\\+|%FF|)&){0,6}") {
            let ours = read::<Both>(&query);
            let rivals = serde_html_form::from_str::<Both>(&query);
            // An empty optional value is missing here. There it depends on the type.
            if !query.contains("d=&") {
                prop_assert_eq!(ours.as_ref().ok(), rivals.as_ref().ok(), "{} {:?} {:?}", query, ours, rivals);
            }
        }

        #[test]
        fn any_query_is_read_without_a_panic(query in "[abcdq=&%+41\u{e4}]{0,40}") {
            drop(read::<Search>(&query));
            drop(read::<BTreeMap<String, Vec<Option<u8>>>>(&query));
        }
    }
}
