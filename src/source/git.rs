//! Git repositories, over the network by the user's own git.
