"""The story the product serves, told on a real engine with the office day that is shipped: for trying it out."""
