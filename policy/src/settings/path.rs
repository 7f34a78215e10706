//! The place of a setting in the document.

use std::fmt;

use crate::diagnostic::{Place, escape_pointer};

/// The path of a setting, as a chain of borrowed names. It is formatted only when a problem is reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'a> {
    /// `None` at the root.
    last: Option<(&'a Path<'a>, Segment<'a>)>,
}

#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The whole document.
    pub(crate) const ROOT: Self = Self { last: None };

    /// An entry of the map at this path.
    pub(crate) fn name(&'a self, name: &'a str) -> Self {
        let last = Some((self, Segment::Name(name)));
        Self { last }
    }

    /// An item of the list at this path, from 0.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        let last = Some((self, Segment::Index(index)));
        Self { last }
    }

    /// The name of the map that the entry at this path is in; empty if that has none.
    pub(crate) fn parent_name(&self) -> &'a str {
        match self.last {
            Some((
                Path {
                    last: Some((_, Segment::Name(name))),
                },
                _,
            )) => name,
            _ => "",
        }
    }

    /// The path as a JSON pointer (RFC 6901).
    pub(crate) fn pointer(&self) -> String {
        match self.last {
            None => String::new(),
            Some((parent, Segment::Name(name))) => parent.pointer() + "/" + &escape_pointer(name),
            Some((parent, Segment::Index(index))) => format!("{}/{index}", parent.pointer()),
        }
    }

    /// The value at the path.
    pub(crate) fn place(&self) -> Place {
        Place::pointer(self.pointer())
    }

    /// The name at the end of the path, not its value.
    pub(crate) fn place_of_name(&self) -> Place {
        let key = true;
        Place { key, ..self.place() }
    }
}

/// For messages: `endpoints.hosts[1]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            None => Ok(()),
            Some((Path { last: None }, Segment::Name(name))) => f.write_str(name),
            Some((parent, Segment::Name(name))) => write!(f, "{parent}.{name}"),
            Some((parent, Segment::Index(index))) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_pointer_and_a_text() {
        let (classes, root) = ("classes", Path::ROOT);
        let classes = root.name(classes);
        let class = classes.name("a/b~c");
        let outputs = class.name("outputs");
        let output = outputs.index(2);
        assert_eq!(output.pointer(), "/classes/a~1b~0c/outputs/2");
        assert_eq!(output.to_string(), "classes.a/b~c.outputs[2]");
        assert_eq!(outputs.parent_name(), "a/b~c");
        assert_eq!((root.pointer(), root.to_string()), (String::new(), String::new()));
    }
}
