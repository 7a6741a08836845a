//! The names of extension methods: those that the program has added to the methods of HTTP.
//!
//! A [`Method`](super::Method) stays one small `Copy` value, because each name is kept once, in a table of the process,
//! and a method is its place there. The table only grows, and only while a program registers routes. So a request needs
//! no lock to look a name up, and a client cannot add one.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::token::is_token;
use crate::limits::{MAX_EXTENSION_METHODS, MAX_METHOD};

/// A method that the program has added to those of HTTP, such as `PROPFIND`. [`Method::extension`] makes it.
///
/// [`Method::extension`]: super::Method::extension
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtensionMethod(Place);

/// Makes [`Place`] and the list of all places from their names.
macro_rules! places {
    ($first:ident = $number:literal, $($other:ident)*) => {
        /// The place of a name in the table, counted from the number of methods that the server knows by itself.
        ///
        /// This is an enum and not a number, because the compiler knows which values it has. So it keeps a
        /// [`Method`](super::Method) in one byte, which is below 8 for a method that the server knows. With two
        /// bytes, a request takes up to 13 instructions more.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        enum Place { $first = $number, $($other),* }

        /// All places.
        const PLACES: [Place; MAX_EXTENSION_METHODS] = [Place::$first, $(Place::$other),*];
    };
}

places! {
    P8 = 8, P9 P10 P11 P12 P13 P14 P15 P16 P17 P18 P19 P20 P21 P22 P23 P24 P25 P26 P27 P28 P29 P30 P31 P32 P33
    P34 P35 P36 P37 P38 P39 P40 P41 P42 P43 P44 P45 P46 P47 P48 P49 P50 P51 P52 P53 P54 P55 P56 P57 P58 P59 P60
    P61 P62 P63
}

impl ExtensionMethod {
    /// Returns the method of this name, and adds it if it is new.
    ///
    /// # Panics
    /// If `name` is not a token or is longer than [`MAX_METHOD`], or if the table is full.
    pub(super) fn add(name: &str) -> Self {
        assert!(is_token(name.as_bytes()), "not a method: {name:?} is not a token (RFC 9110 \u{a7}5.6.2)");
        assert!(name.len() <= MAX_METHOD, "not a method: {name:?} is longer than {MAX_METHOD} bytes");
        NAMES.add(name)
    }

    /// The method of this name, if the program has added it.
    #[cold]
    pub(super) fn find(name: &str) -> Option<Self> {
        NAMES.find(name)
    }

    /// All methods that the program has added, in that order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        PLACES.into_iter().zip(NAMES.known()).map(|(place, _)| Self(place))
    }

    /// A number that belongs to this method alone. The methods that the server knows have the numbers below 8.
    #[inline(always)]
    pub(super) const fn index(self) -> u8 {
        self.0 as u8
    }

    /// The method as a request line contains it.
    pub fn as_str(self) -> &'static str {
        let mut names = PLACES.into_iter().zip(NAMES.known());
        names.find(|&(place, _)| place == self.0).expect("only a name in the table has a place there").1
    }
}

/// Shows the name, for `Debug` of a [`Method`](super::Method).
impl fmt::Debug for ExtensionMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names that the program has added, for all servers of the process.
static NAMES: Names = Names::new();

/// A table of names that only grows.
struct Names {
    /// The names, and after them slots that are still free.
    slots: [OnceLock<&'static str>; MAX_EXTENSION_METHODS],
    /// Held while a name is added, so that two threads do not add the same one.
    adding: Mutex<()>,
}

impl Names {
    const fn new() -> Self {
        Self { slots: [const { OnceLock::new() }; MAX_EXTENSION_METHODS], adding: Mutex::new(()) }
    }

    fn known(&self) -> impl Iterator<Item = &'static str> {
        self.slots.iter().map_while(|slot| slot.get().copied())
    }

    fn find(&self, name: &str) -> Option<ExtensionMethod> {
        let mut places = PLACES.into_iter().zip(self.known());
        places.find(|&(_, known)| known == name).map(|(place, _)| ExtensionMethod(place))
    }

    fn add(&self, name: &str) -> ExtensionMethod {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.find(name) {
            return known;
        }
        let mut places = PLACES.into_iter().zip(&self.slots);
        let Some((place, slot)) = places.find(|(_, slot)| slot.get().is_none()) else {
            panic!("the method {name} is one too many: a process can have {MAX_EXTENSION_METHODS} extension methods");
        };
        // The name is never freed, and the table bounds how many there are.
        slot.get_or_init(|| Box::leak(name.into()));
        ExtensionMethod(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;
    use std::thread;

    #[test]
    fn a_name_has_one_place_whoever_adds_it() {
        let names = Names::new();
        assert_eq!(names.find("LOCK"), None);
        let places: Vec<u8> = thread::scope(|scope| {
            let add = || ["LOCK", "UNLOCK", "LOCK"].map(|name| names.add(name).index());
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(add)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let lock = names.find("LOCK").unwrap().index();
        let unlock = names.find("UNLOCK").unwrap().index();
        assert_ne!(lock, unlock);
        assert_eq!(places, [lock, unlock, lock].repeat(4));
        assert_eq!(names.known().count(), 2);
    }

    #[test]
    fn a_full_table_keeps_its_names_and_takes_no_other() {
        let names = Names::new();
        let all: Vec<String> = (0..MAX_EXTENSION_METHODS).map(|number| format!("M{number}")).collect();
        for (index, name) in (8..).zip(&all) {
            assert_eq!(names.add(name).index(), index);
        }
        let refused = catch_unwind(|| names.add("MORE")).unwrap_err();
        assert_eq!(
            refused.downcast_ref::<String>().unwrap(),
            "the method MORE is one too many: a process can have 56 extension methods"
        );
        assert_eq!(names.find("MORE"), None);
        assert_eq!(names.add("M55").index(), 63, "a name that is there needs no room");
    }
}
