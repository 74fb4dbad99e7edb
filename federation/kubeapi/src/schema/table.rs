//! The table of definitions, looked up by name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::load;

static EMBEDDED: LazyLock<Schemas> = LazyLock::new(load::embedded);

/// Every definition by its OpenAPI name (`io.k8s.api.batch.v1.Job`).
#[derive(Debug, Default)]
pub struct Schemas {
    pub(super) definitions: BTreeMap<String, Definition>,
}

/// One definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Fields, or what stands in their place.
    pub shape: Shape,
    /// Fields that must be given.
    pub required: Vec<String>,
    /// Group, version and kind when objects of it stand alone.
    pub gvk: Vec<Gvk>,
    /// `atomic` when server-side apply treats it as one value.
    pub map_type: String,
    /// For people; may be empty.
    pub description: String,
}

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gvk {
    /// Group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// What a definition is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// An object with these fields.
    Object(BTreeMap<String, Field>),
    /// A named scalar, such as Time or Quantity.
    Scalar(Type),
}

/// One field of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Type of the value.
    pub ty: Type,
    /// `x-kubernetes-list-type`: `atomic`, `set`, `map` or empty.
    pub list_type: String,
    /// `x-kubernetes-list-map-keys`.
    pub list_keys: Vec<String>,
    /// `x-kubernetes-map-type`: `atomic`, `granular` or empty.
    pub map_type: String,
    /// Merge key of strategic merge patch; empty for none.
    pub merge_key: String,
    /// Patch strategies: `merge`, `replace`, `retainKeys`, comma-separated; may be empty.
    pub strategy: String,
    /// Allowed words; empty when any string will do.
    pub words: Vec<String>,
    /// For people; may be empty.
    pub description: String,
}

impl Field {
    /// The strategy that decides about lists and maps, without `retainKeys`.
    pub fn merge_strategy(&self) -> &str {
        self.strategy.split(',').find(|word| *word != "retainKeys").unwrap_or_default()
    }
}

/// Type of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Type {
    /// Anything, unknown fields kept.
    #[default]
    Any,
    /// An object whose fields nobody knows; kept as it is.
    Object,
    /// Text of this format (`date-time`, `byte`, or empty).
    String(String),
    /// Whole number of this format (`int32`, `int64`).
    Integer(String),
    /// Number.
    Number,
    /// True or false.
    Boolean,
    /// A whole number or text.
    IntOrString,
    /// A Kubernetes quantity: text or number.
    Quantity,
    /// Another definition.
    Reference(String),
    /// A list.
    List(Box<Type>),
    /// An object with arbitrary keys.
    Map(Box<Type>),
}

impl Type {
    /// Type of the items of a list or the values of a map, else of the value itself.
    pub fn element(&self) -> &Type {
        match self {
            Type::List(inner) | Type::Map(inner) => inner.element(),
            other => other,
        }
    }
}

impl Schemas {
    /// The table built into this program.
    pub fn embedded() -> &'static Schemas {
        &EMBEDDED
    }

    /// The definition of this name.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// Follows a reference to its fields; `None` when the type has no known fields.
    pub fn fields_of(&self, ty: &Type) -> Option<(&str, &Definition, &BTreeMap<String, Field>)> {
        let Type::Reference(name) = ty else { return None };
        let (name, definition) = self.definitions.get_key_value(name)?;
        match &definition.shape {
            Shape::Object(fields) => Some((name, definition, fields)),
            Shape::Scalar(_) => None,
        }
    }

    /// The type with references to named scalars resolved.
    pub fn resolve<'a>(&'a self, ty: &'a Type) -> &'a Type {
        let Type::Reference(name) = ty else { return ty };
        match self.get(name).map(|definition| &definition.shape) {
            Some(Shape::Scalar(scalar)) => scalar,
            _ => ty,
        }
    }

    /// Every definition these names reach, in order of name.
    pub fn closure<'a>(&'a self, roots: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, &'a Definition)> {
        let mut found = BTreeMap::new();
        let mut open: Vec<&str> = roots.into_iter().collect();
        while let Some(name) = open.pop() {
            let Some((name, definition)) = self.definitions.get_key_value(name) else { continue };
            if found.insert(name.as_str(), definition).is_some() {
                continue;
            }
            if let Shape::Object(fields) = &definition.shape {
                open.extend(fields.values().filter_map(|field| match field.ty.element() {
                    Type::Reference(name) => Some(name.as_str()),
                    _ => None,
                }));
            }
        }
        found.into_iter().collect()
    }
}
