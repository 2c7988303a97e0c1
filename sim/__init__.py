"""fedtrial: rehearse federated learning for a cancer consortium before anything is deployed."""
