"""Which class of encoder goes with which class of config."""

from keras_bert.config import EncoderConfig, ModernBertConfig, XLNetConfig
from keras_bert.models.encoder import BertEncoder, Encoder
from keras_bert.models.modern_encoder import ModernBertEncoder
from keras_bert.models.xlnet_encoder import XLNetEncoder

__all__ = ["ENCODERS", "make_encoder"]

#: Class of a config → class of its encoder.
ENCODERS = {
    EncoderConfig: BertEncoder,
    ModernBertConfig: ModernBertEncoder,
    XLNetConfig: XLNetEncoder,
}


def make_encoder(config: EncoderConfig | ModernBertConfig | XLNetConfig, **kwargs) -> Encoder:
    """Makes the encoder that a config describes, newly initialised.

    Args:
        config: The config.
        **kwargs: Passed to the encoder, such as ``dtype="mixed_bfloat16"``.

    Example:
        >>> type(make_encoder(EncoderConfig(num_layers=1))).__name__
        'BertEncoder'
    """
    return ENCODERS[type(config)](config, **kwargs)
