"""How well a network suits the fast paths of hardware and libraries: what they take of it, where its time goes, how near it comes to the peak."""
