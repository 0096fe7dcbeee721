"""Terms of the enthalpy, and models as sums of them."""
