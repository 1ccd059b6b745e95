//! What is written from a profile: compose files, Redis configurations, Prometheus' targets, Kubernetes objects.
