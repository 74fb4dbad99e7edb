//! What a model type is in the durable format, and the two macros that say it.

use std::sync::Arc;

use super::FieldError;

/// A type with a durable form. `read(form())` gives the same value for every value.
pub(crate) trait Durable: Sized {
    /// The generated type.
    type Form;

    /// The form. Cannot fail.
    fn form(&self) -> Self::Form;

    /// The value of a form that may come from another version.
    fn read(form: Self::Form) -> Result<Self, FieldError>;
}

/// The value of a field.
pub(super) fn value<T: Durable>(field: &str, form: T::Form) -> Result<T, FieldError> {
    T::read(form).map_err(|error| error.inside(field))
}

/// The value of a message that must be there.
pub(super) fn message<T: Durable>(field: &str, form: Option<T::Form>) -> Result<T, FieldError> {
    value(field, form.ok_or_else(|| FieldError::missing(field))?)
}

/// Structs of which each field has one of its own in the form, perhaps with its unit in the name; `required` stands
/// behind messages, which the generated code always makes optional.
macro_rules! durable_structs {
    ($($model:ident => $form:ident { $($field:ident : $slot:ident $($required:ident)?),* $(,)? })*) => {$(
        impl $crate::log::durable::Durable for $model {
            type Form = $crate::log::pb::$form;

            fn form(&self) -> Self::Form {
                $crate::log::pb::$form { $($slot: durable_structs!(@form self.$field, $($required)?)),* }
            }

            fn read(form: Self::Form) -> Result<Self, $crate::log::FieldError> {
                Ok(Self { $($field: durable_structs!(@read form.$slot, stringify!($slot), $($required)?)),* })
            }
        }
    )*};
    (@form $value:expr,) => { $crate::log::durable::Durable::form(&$value) };
    (@form $value:expr, required) => { Some($crate::log::durable::Durable::form(&$value)) };
    (@read $form:expr, $name:expr,) => { $crate::log::durable::value($name, $form)? };
    (@read $form:expr, $name:expr, required) => { $crate::log::durable::message($name, $form)? };
}

/// Enums without fields, whose variants have the same names in the form. 0 and what a newer version added are refused.
macro_rules! durable_enums {
    ($($name:ident { $($variant:ident),* $(,)? })*) => {$(
        impl $crate::log::durable::Durable for $name {
            type Form = i32;

            fn form(&self) -> i32 {
                match self { $(Self::$variant => $crate::log::pb::$name::$variant.into()),* }
            }

            fn read(form: i32) -> Result<Self, $crate::log::FieldError> {
                match $crate::log::pb::$name::try_from(form) {
                    $(Ok($crate::log::pb::$name::$variant) => Ok(Self::$variant),)*
                    Ok($crate::log::pb::$name::Unspecified) | Err(_) => {
                        Err($crate::log::FieldError::new(format!("{form} is not a value of this version")))
                    }
                }
            }
        }
    )*};
}

/// Tuple structs around one value.
macro_rules! durable_newtypes {
    ($($name:ident($inner:ty)),* $(,)?) => {$(
        impl $crate::log::durable::Durable for $name {
            type Form = <$inner as $crate::log::durable::Durable>::Form;

            fn form(&self) -> Self::Form {
                self.0.form()
            }

            fn read(form: Self::Form) -> Result<Self, $crate::log::FieldError> {
                <$inner>::read(form).map(Self)
            }
        }
    )*};
}

/// Values that are their own form.
macro_rules! durable_as_is {
    ($($name:ty),*) => {$(
        impl Durable for $name {
            type Form = $name;

            fn form(&self) -> $name {
                *self
            }

            fn read(form: $name) -> Result<$name, FieldError> {
                Ok(form)
            }
        }
    )*};
}

durable_as_is!(bool, u32, u64, i32, i64);

impl Durable for u16 {
    type Form = u32;

    fn form(&self) -> u32 {
        u32::from(*self)
    }

    fn read(form: u32) -> Result<u16, FieldError> {
        u16::try_from(form).map_err(|_| FieldError::new(format!("is {form}, more than 65535")))
    }
}

impl Durable for u128 {
    type Form = Vec<u8>;

    fn form(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn read(form: Vec<u8>) -> Result<u128, FieldError> {
        read_bytes(&form).map(u128::from_be_bytes)
    }
}

impl Durable for [u8; 32] {
    type Form = Vec<u8>;

    fn form(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn read(form: Vec<u8>) -> Result<[u8; 32], FieldError> {
        read_bytes(&form)
    }
}

fn read_bytes<const N: usize>(form: &[u8]) -> Result<[u8; N], FieldError> {
    form.try_into().map_err(|_| FieldError::new(format!("has {} bytes, not {N}", form.len())))
}

impl Durable for Arc<str> {
    type Form = String;

    fn form(&self) -> String {
        self.as_ref().to_owned()
    }

    fn read(form: String) -> Result<Arc<str>, FieldError> {
        Ok(form.into())
    }
}

impl<T: Durable> Durable for Arc<T> {
    type Form = T::Form;

    fn form(&self) -> T::Form {
        self.as_ref().form()
    }

    fn read(form: T::Form) -> Result<Arc<T>, FieldError> {
        T::read(form).map(Arc::new)
    }
}

impl<T: Durable> Durable for Box<T> {
    type Form = T::Form;

    fn form(&self) -> T::Form {
        self.as_ref().form()
    }

    fn read(form: T::Form) -> Result<Box<T>, FieldError> {
        T::read(form).map(Box::new)
    }
}

impl<T: Durable> Durable for Option<T> {
    type Form = Option<T::Form>;

    fn form(&self) -> Option<T::Form> {
        self.as_ref().map(T::form)
    }

    fn read(form: Option<T::Form>) -> Result<Option<T>, FieldError> {
        form.map(T::read).transpose()
    }
}

impl<T: Durable> Durable for Vec<T> {
    type Form = Vec<T::Form>;

    fn form(&self) -> Vec<T::Form> {
        self.iter().map(T::form).collect()
    }

    fn read(form: Vec<T::Form>) -> Result<Vec<T>, FieldError> {
        let read_one = |(i, form)| T::read(form).map_err(|error| error.inside(&format!("[{i}]")));
        form.into_iter().enumerate().map(read_one).collect()
    }
}
