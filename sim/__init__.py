"""fedtrial: simulate federated learning in a cancer consortium before anything is deployed."""
