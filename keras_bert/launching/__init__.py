"""Workers of a cluster: who they are, how they meet, how several start on one machine.

Nothing in this folder imports TensorFlow: the launcher is a small process beside its workers, and
what is wrong with a cluster is said before TensorFlow is waited for.
"""

from keras_bert.launching.addresses import Addresses
from keras_bert.launching.clusters import find_cluster
from keras_bert.launching.launcher import launch
from keras_bert.launching.peers import PeerLost

__all__ = ["Addresses", "PeerLost", "find_cluster", "launch"]
