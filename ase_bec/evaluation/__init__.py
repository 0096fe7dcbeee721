"""From models and structures to energies, forces, dipoles and what follows from them."""
