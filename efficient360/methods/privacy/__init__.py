"""What a model gives away about its training images, and what private training costs it."""
