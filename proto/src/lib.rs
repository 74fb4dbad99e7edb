//! The wire and durable formats, and their conversions to and from the model.
