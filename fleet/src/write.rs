//! What is written from a profile: compose files, Redis configurations, Kubernetes objects.
