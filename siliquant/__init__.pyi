from .api import array as array
from .api import compare as compare
from .api import compare_network as compare_network
from .api import design as design
from .api import estimate as estimate
from .api import generate as generate
from .api import network_cost as network_cost
from .api import verify as verify
