"""Networks, losses and the module that trains them."""
