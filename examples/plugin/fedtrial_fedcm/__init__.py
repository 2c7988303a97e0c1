"""FedCM as an algorithm of fedtrial."""
