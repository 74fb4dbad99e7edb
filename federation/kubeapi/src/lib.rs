//! The HTTP shapes of the Kubernetes API over the model.
