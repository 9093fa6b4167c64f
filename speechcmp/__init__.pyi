__version__: str

from .audio.recording import (
    AudioFile as AudioFile,
)
from .audio.recording import (
    Recording as Recording,
)
from .audio.recording import (
    load_recording as load_recording,
)
from .audio.recording import (
    normalize as normalize,
)
from .audio.recording import (
    open_audio as open_audio,
)
from .audio.segment import (
    SplitParams as SplitParams,
)
from .audio.split import (
    Chunk as Chunk,
)
from .audio.split import (
    split_at_silence as split_at_silence,
)
from .calibration.fit import (
    Calibrated as Calibrated,
)
from .calibration.fit import (
    Examples as Examples,
)
from .calibration.fit import (
    calibrate as calibrate,
)
from .comparison.compare import (
    CompareParams as CompareParams,
)
from .comparison.compare import (
    compare as compare,
)
from .comparison.references import (
    place_in_spread as place_in_spread,
)
from .comparison.references import (
    score_references as score_references,
)
from .comparison.result import (
    ChunkPair as ChunkPair,
)
from .comparison.result import (
    Comparison as Comparison,
)
from .comparison.result import (
    Span as Span,
)
from .comparison.result import (
    Spread as Spread,
)
from .comparison.serialize import (
    take_measures as take_measures,
)
from .comparison.serialize import (
    to_dict as to_dict,
)
from .dtw.warp import (
    WarpingPath as WarpingPath,
)
from .dtw.warp import (
    dtw_distance as dtw_distance,
)
from .dtw.warp import (
    dtw_distances as dtw_distances,
)
from .dtw.warp import (
    dtw_path as dtw_path,
)
from .errors import (
    AudioError as AudioError,
)
from .errors import (
    DependencyError as DependencyError,
)
from .errors import (
    ParameterError as ParameterError,
)
from .errors import (
    ParameterMismatchError as ParameterMismatchError,
)
from .errors import (
    SpeechcmpError as SpeechcmpError,
)
from .errors import (
    StoreError as StoreError,
)
from .errors import (
    StoreUnavailableError as StoreUnavailableError,
)
from .features.mfcc import (
    MfccParams as MfccParams,
)
from .features.mfcc import (
    mfcc as mfcc,
)
from .features.recipes import (
    Recipe as Recipe,
)
from .fingerprint.identify import (
    Identified as Identified,
)
from .fingerprint.identify import (
    identify as identify,
)
from .fingerprint.store.base import (
    Store as Store,
)
from .fingerprint.store.open import (
    open_store as open_store,
)
from .fingerprint.voting import (
    Match as Match,
)
from .scoring.model import (
    Score as Score,
)
from .scoring.model import (
    ScoreModel as ScoreModel,
)
from .scoring.model import (
    TakeMeasures as TakeMeasures,
)
from .scoring.model import (
    load_model as load_model,
)
from .scoring.model import (
    score_take as score_take,
)
