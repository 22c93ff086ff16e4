"""A receiver of lineage events over real HTTP."""
