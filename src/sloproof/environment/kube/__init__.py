"""The same environment on Kubernetes: charts, images, an adapter to the API, Minikube."""
