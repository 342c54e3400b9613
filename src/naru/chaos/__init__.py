"""A campaign against a running Naru: load, faults and kill -9 by seed, then both books side by side."""
