//! Which programs there are.

/// A program of another project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// kubectl 1.34.
    Kubectl134,
    /// kubectl 1.32, two minor versions older.
    Kubectl132,
    /// Kubernetes' own API server.
    KubeApiserver,
    /// Its store.
    Etcd,
    /// A load generator.
    Hey,
}

impl Tool {
    /// The file it is in, which is what `e2e/kube/build` calls it.
    pub fn file(self) -> &'static str {
        match self {
            Tool::Kubectl134 => "kubectl-1.34",
            Tool::Kubectl132 => "kubectl-1.32",
            Tool::KubeApiserver => "kube-apiserver",
            Tool::Etcd => "etcd",
            Tool::Hey => "hey",
        }
    }

    /// The folder below `e2e/kube` whose `go.mod` says its version.
    pub fn module(self) -> &'static str {
        match self {
            Tool::Kubectl134 | Tool::KubeApiserver => "kubernetes",
            Tool::Kubectl132 => "kubectl-1.32",
            Tool::Etcd => "etcd",
            Tool::Hey => "hey",
        }
    }
}
