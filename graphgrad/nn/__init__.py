"""Networks: layers, losses, optimizers and training, all made of graph nodes.

>>> from graphgrad import nn
>>> model = nn.Sequential([nn.Dense(8, activation="relu", input_shape=(2,)), nn.Dense(1)])
>>> model.compile(optimizer="adam", loss="mse")
>>> model.count_params()
33
"""

from __future__ import annotations

from graphgrad.nn import datasets
from graphgrad.nn.backup import BackupAndRestore
from graphgrad.nn.callback import Callback
from graphgrad.nn.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from graphgrad.nn.core import Activation, Add, Concatenate, Dense, Dropout, Flatten, Reshape
from graphgrad.nn.embedding import Embedding
from graphgrad.nn.history import History
from graphgrad.nn.image import AveragePooling2D, Conv2D, MaxPooling2D
from graphgrad.nn.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    Ones,
    RandomNormal,
    RandomUniform,
    Zeros,
)
from graphgrad.nn.layer import Layer
from graphgrad.nn.loading import load_model
from graphgrad.nn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from graphgrad.nn.metrics import Accuracy, Metric, Precision, R2Score, Recall
from graphgrad.nn.minimization import Minimum, minimize
from graphgrad.nn.model import Model
from graphgrad.nn.network import Input
from graphgrad.nn.normalization import BatchNormalization
from graphgrad.nn.optimizer import Optimizer
from graphgrad.nn.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
from graphgrad.nn.regularizers import L1, L1L2, L2, Regularizer
from graphgrad.nn.schedules import (
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    PiecewiseConstantDecay,
    Schedule,
    StepDecay,
    WarmUp,
)
from graphgrad.nn.sequential import Sequential
from graphgrad.nn.tables import read_csv

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "SGD",
    "Accuracy",
    "Activation",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "AveragePooling2D",
    "BackupAndRestore",
    "BatchNormalization",
    "BinaryCrossentropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossentropy",
    "Concatenate",
    "Constant",
    "ConstantRate",
    "Conv2D",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "ExponentialDecay",
    "Flatten",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Hinge",
    "History",
    "Huber",
    "Initializer",
    "Input",
    "LambdaCallback",
    "Layer",
    "Loss",
    "MaxPooling2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Minimum", "Model",
    "ModelCheckpoint",
    "Ones",
    "Optimizer",
    "PiecewiseConstantDecay",
    "Precision",
    "R2Score",
    "RMSprop",
    "RandomNormal",
    "RandomUniform",
    "Recall",
    "ReduceLROnPlateau",
    "Regularizer",
    "Reshape",
    "Schedule",
    "Sequential",
    "SparseCategoricalCrossentropy",
    "StepDecay",
    "WarmUp",
    "Zeros",
    "datasets",
    "load_model", "minimize",
    "read_csv",
]  # fmt: skip
